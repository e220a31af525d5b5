"""What is known to go wrong between a row and a graph on another device, done to rows on this one.

Each fault is one that a runtime or an application showed: a picture graph's Cast that makes 1 of everything above it
(Qualcomm's QNN), BGR for RGB, 0 to 255 where the graph wants normalised values, types too narrow for their values, and
inputs that never arrive. What answers NaN needs no row of its own: every one shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.probe.inputs.prepare import prepare
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec

Arrays = dict[str, NDArray[Any]]
Sent = Callable[[NDArray[Any], InputSpec], NDArray[Any]]

SCALE = 255.0


def saturated(rows: NDArray[Any], item: InputSpec) -> NDArray[Any]:
    """No pixel is brighter than 127, and no number of a row larger than half of its largest."""
    if rows.dtype.kind == "b":
        return rows
    if item.picture is not None:
        dark: NDArray[Any] = np.minimum(rows, 127)
        return dark
    size = np.abs(np.nan_to_num(rows.astype(np.float64)))
    most = size.max(axis=tuple(range(1, rows.ndim)), keepdims=True) / 2
    clipped: NDArray[Any] = np.clip(rows, -most, most).astype(rows.dtype)
    return clipped


def wrongly_cast(rows: NDArray[Any], _item: InputSpec) -> NDArray[Any]:
    """Whole numbers, and 1 for everything above it."""
    cast: NDArray[Any] = np.clip(np.trunc(rows), 0, 1).astype(rows.dtype)
    return cast


def flipped(rows: NDArray[Any], item: InputSpec) -> NDArray[Any]:
    """Channels, columns or tokens from last to first; codes stay within those that their column has."""
    turned = rows[..., ::-1]
    codes = [column.codes - 1 if column.vocabulary is not None else None for column in item.columns]
    if any(code is not None for code in codes):
        most = np.array([np.inf if code is None else code for code in codes])
        turned = np.minimum(turned, most).astype(rows.dtype)
    return np.ascontiguousarray(turned)


def nothing(rows: NDArray[Any], _item: InputSpec) -> NDArray[Any]:
    """Zeros."""
    return np.zeros_like(rows)


# Of what is sent to the device.
SENT: Mapping[str, Sent] = {
    "saturation": saturated,
    "wrong cast": wrongly_cast,
    "flipped channels": flipped,
    "nothing arrives": nothing,
}
UNSCALED = "missing normalisation"
FAULTS = (*SENT, UNSCALED)


def faulty(name: str, rows: Mapping[str, NDArray[Any]], spec: ModelSpec) -> Arrays | None:
    """What the graph gets under a fault; None where that is what it should get.

    Args:
        rows: as `prepare` takes them.
    """
    right = prepare(rows, spec.inputs)
    if name == UNSCALED:
        wrong = {item.name: _unscaled(rows[item.name], right[item.name], item) for item in spec.inputs}
    else:
        sent = {item.name: SENT[name](rows[item.name], item) for item in spec.inputs}
        wrong = prepare(sent, spec.inputs)
    return None if all(_equal(wrong[key], right[key]) for key in right) else wrong


def _unscaled(sent: NDArray[Any], right: NDArray[Any], item: InputSpec) -> NDArray[Any]:
    """0 to 255 instead of what they are scaled to; 0 to 1 where the graph scales; other numbers 255 times too large."""
    if item.picture is not None and item.picture.mean is not None:
        pixels = sent.transpose(0, 3, 1, 2) if item.picture.layout == "nchw" else sent
        return np.ascontiguousarray(pixels, dtype=right.dtype)
    if item.picture is not None:
        return (right / SCALE).astype(right.dtype)
    return (right * SCALE).astype(right.dtype) if right.dtype.kind == "f" else right


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
