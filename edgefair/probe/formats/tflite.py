"""TensorFlow Lite (LiteRT): a flatbuffer, and behind it an archive with edgefair's texts.

Quantized inputs and outputs are described as what callers give and get: real numbers, float32.
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from edgefair.probe.formats.appended import appended
from edgefair.probe.formats.batches import check_batches
from edgefair.probe.formats.flatbuffer import Table, begins_with
from edgefair.probe.model_file import ModelFile

IDENTIFIER = b"TFL3"
MODEL_SUBGRAPHS, MODEL_BUFFERS, MODEL_EXTERNAL_GROUPS, MODEL_EXTERNAL_BUFFERS = 2, 4, 8, 9
GRAPH_TENSORS, GRAPH_INPUTS, GRAPH_OUTPUTS = 0, 1, 2
TENSOR_SHAPE, TENSOR_TYPE, TENSOR_NAME, TENSOR_QUANTIZATION, TENSOR_SIGNATURE, TENSOR_EXTERNAL = 0, 1, 3, 4, 7, 10
SCALE = 2
BUFFER_OFFSET, BUFFER_SIZE = 1, 2
# The schema's numbers of types, with onnxruntime's names of tensors of them.
TYPES = {
    0: "float", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool", 7: "int16", 9: "int8",
    10: "double", 12: "uint64", 15: "uint32", 16: "uint16", 17: "int4", 18: "bfloat16", 19: "int2", 20: "uint4",
}  # fmt: skip
FEW_BITS = frozenset(["int8", "uint8", "int16", "int4", "int2", "uint4"])


class Tensor(NamedTuple):
    """name, type (as in `TYPES`) and shape (None for a dynamic size) of a tensor, and its scales, if any."""

    name: str
    type: str
    shape: List[Optional[int]]
    scales: List[float]


class TfLite:
    """See `probe.formats.base.FileFormat`."""

    name = "TFLite"
    suffix = ".tflite"

    def recognises(self, content: bytes) -> bool:
        """By its identifier."""
        return begins_with(content, IDENTIFIER)

    def check_whole(self, content: bytes) -> None:
        """Refuse what is no such flatbuffer, and one with buffers in other files (ValueError)."""
        if not content:
            raise ValueError("it is empty")
        if not self.recognises(content):
            raise ValueError("it is damaged or no TFLite file: it does not begin with the identifier TFL3")
        model = Table.root(content)
        elsewhere = model.count(MODEL_EXTERNAL_GROUPS) + model.count(MODEL_EXTERNAL_BUFFERS)
        graphs = list(model.tables(MODEL_SUBGRAPHS))
        if elsewhere or any(
            item.whole(TENSOR_EXTERNAL, "<I") for graph in graphs for item in graph.tables(GRAPH_TENSORS)
        ):
            raise ValueError(
                "it keeps buffers in other files, which the digest would not cover; convert it to one file"
            )
        for buffer in model.tables(MODEL_BUFFERS):
            offset, size = buffer.whole(BUFFER_OFFSET, "<Q"), buffer.whole(BUFFER_SIZE, "<Q")
            if offset + size > len(content):
                raise ValueError("it is truncated: a buffer lies beyond its end")
        if not graphs:
            raise ValueError("it holds no graph")

    def read(self, content: bytes) -> ModelFile:
        """Its first graph's inputs and outputs, and the texts behind it.

        Raises:
            ValueError: also where an input or output has no dimension for rows, or takes several at a time, or has
                scales for each channel.
        """
        graph = next(Table.root(content).tables(MODEL_SUBGRAPHS), None)
        if graph is None:
            raise ValueError("it holds no graph")
        tensors = [_tensor(item) for item in graph.tables(GRAPH_TENSORS)]
        sides = [
            [_of(tensors, index) for index in graph.numbers(field, "<i4") or ()]
            for field in (GRAPH_INPUTS, GRAPH_OUTPUTS)
        ]
        for side in sides:
            if len({item.name for item in side}) < len(side) or not all(item.name for item in side):
                raise ValueError("two of its inputs or outputs have the same name, or one has none")
        inputs, outputs = (tuple(map(_described, side)) for side in sides)
        check_batches(inputs, outputs)
        few = next((item for item in tensors if item.type in FEW_BITS and any(item.scales)), None)
        shown = None if few is None else f"quantized tensor '{few.name}' ({few.type})"
        return ModelFile(appended(content), inputs, outputs, shown)


FORMAT = TfLite()


def _of(tensors: List[Tensor], index: float) -> Tensor:
    if not 0 <= index < len(tensors):
        raise ValueError("an input or output is no tensor of the graph")
    return tensors[int(index)]


def _tensor(table: Table) -> Tensor:
    number = table.whole(TENSOR_TYPE, "<b")
    shape = table.numbers(TENSOR_SIGNATURE, "<i4") or table.numbers(TENSOR_SHAPE, "<i4") or []
    quantization = table.table(TENSOR_QUANTIZATION)
    scales = [] if quantization is None else quantization.numbers(SCALE, "<f4") or []
    sizes = [None if size < 0 else int(size) for size in shape]
    return Tensor(table.text(TENSOR_NAME), TYPES.get(number, f"type {number}"), sizes, scales)


def _described(item: Tensor) -> Dict[str, Any]:
    if item.type not in FEW_BITS or not any(item.scales):
        return {"name": item.name, "type": f"tensor({item.type})", "shape": item.shape}
    if len(item.scales) > 1:
        raise ValueError(f"'{item.name}' has a scale for each of {len(item.scales)} channels, which is not supported")
    return {"name": item.name, "type": "tensor(float)", "shape": item.shape, "step": item.scales[0]}
