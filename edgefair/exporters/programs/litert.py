"""LiteRT programs (.tflite), by litert-torch: from PyTorch's exported program, without ONNX between."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from edgefair.exporters.programs.base import ProgramWriter
from edgefair.probe.formats.tflite import FORMAT

# Of files that litert-torch writes; it is also what the names of their tensors begin with.
SIGNATURE = "serving_default"


def _lower(module: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> bytes:
    import litert_torch

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"program{FORMAT.suffix}"
        litert_torch.convert(module, example).export(str(path))
        return path.read_bytes()


def _quantize(content: bytes, rows: Iterator[tuple[NDArray[Any], ...]]) -> bytes:
    """Weights per channel, activations per tensor, by the recipe `static_wi8_ai8` of Google's quantizer."""
    from ai_edge_quantizer import quantizer, recipe

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"float{FORMAT.suffix}"
        path.write_bytes(content)
        found = quantizer.Quantizer(str(path))
        found.load_quantization_recipe(recipe.static_wi8_ai8())
        inputs = [{f"args_{place}": array for place, array in enumerate(row)} for row in rows]
        return bytes(found.quantize(found.calibrate({SIGNATURE: inputs})).quantized_model)


WRITER = ProgramWriter(
    runtime="LiteRT",
    suffix=FORMAT.suffix,
    # Of a dependency of it (xdsl) that wants an older typing-extensions than pydantic: two commands, in this order.
    packages="litert-torch && pip install --upgrade typing-extensions",
    inputs=lambda place: f"{SIGNATURE}_args_{place}",
    outputs=(f"{SIGNATURE}_output_0_output", f"{SIGNATURE}_output_1_output"),
    lower=_lower,
    quantize=_quantize,
)
