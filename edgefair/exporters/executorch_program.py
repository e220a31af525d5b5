"""A trained classifier -> one ExecuTorch program with its spec, lowered to XNNPACK."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from edgefair.errors import ModelError
from edgefair.probe.formats.appended import with_appended
from edgefair.probe.formats.executorch import FORMAT
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, InputSpec, ModelSpec
from edgefair.training.classifier import Classifier, Deployable

if TYPE_CHECKING:
    from collections.abc import Iterator


def program_of(classifier: Classifier, spec: ModelSpec, array_shapes: dict[str, tuple[int, ...]]) -> bytes:
    """Preprocessing, network and decision as a program for one row at a time, as devices are asked.

    Its decision is output_0 and its score output_1; programs know no names, so the spec behind it has those.

    Raises:
        ImportError: executorch is not installed.
        ModelError: the network cannot be exported or lowered.
    """
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    deployable = Deployable(classifier, spec).eval()
    example = tuple(_one_row(item, array_shapes) for item in spec.inputs)
    try:
        with _quietly():
            exported = torch.export.export(deployable, example)
            lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
            content = bytes(lowered.to_executorch().buffer)
    except Exception as error:
        raise ModelError(
            f"the network cannot be exported to {FORMAT.name}: {str(error).splitlines()[0]}",
            expected="operators that ExecuTorch and XNNPACK have, and no data-dependent control flow",
        ) from error
    named = replace(
        spec,
        inputs=tuple(replace(item, name=f"input_{place}") for place, item in enumerate(spec.inputs)),
        reading=replace(spec.reading, output="output_0", score="output_1"),
    )
    return with_appended(content, {SPEC_METADATA_KEY: named.to_json()})


def _one_row(item: InputSpec, array_shapes: dict[str, tuple[int, ...]]) -> torch.Tensor:
    shape = array_shapes[item.array] if item.array is not None else item.row_shape
    return torch.zeros((1, *(shape or ())), dtype=getattr(torch, item.dtype))


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without the warnings and logs of the libraries that lower a graph."""
    with warnings.catch_warnings(), open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):  # noqa: PTH123
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)
