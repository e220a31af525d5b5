"""The last step before the graph, done on the device: what travels is small, what the graph takes need not be."""

from __future__ import annotations

from typing import Dict, Mapping, Sequence

import numpy as np

from edgefair.probe.inputs.pictures import normalized
from edgefair.probe.onnx_files.spec import TEXT, InputSpec


def needs_preparation(item: InputSpec) -> bool:
    """Whether the graph takes something else than what `Rows.inputs` sends."""
    if item.picture is not None:
        return item.picture.mean is not None or item.picture.layout != "nhwc" or item.dtype != "uint8"
    return item.dtype == TEXT


def prepare(arrays: Mapping[str, np.ndarray], inputs: Sequence[InputSpec]) -> Dict[str, np.ndarray]:
    """Arrays as they were sent -> arrays as the graph takes them. Inputs that are not listed pass through."""
    ready = dict(arrays)
    for item in inputs:
        if item.picture is not None:
            ready[item.name] = normalized(arrays[item.name], item.picture, item.dtype)
        elif item.dtype == TEXT:
            ready[item.name] = _texts(arrays[item.name], item)
    return ready


def _texts(codes: np.ndarray, item: InputSpec) -> np.ndarray:
    """Codes int32 [rows, columns] -> texts [rows, columns]; an unseen value is a text that training never met."""
    columns = [
        np.array([*(column.vocabulary or ()), ""], dtype=object)[codes[:, position]]
        for position, column in enumerate(item.columns)
    ]
    return np.stack(columns, axis=1)
