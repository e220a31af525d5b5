"""What an ONNX file says of itself: its metadata, and names, types and shapes of what goes in and comes out.

Read from its bytes, so that neither a runtime nor a device is asked for what the file says.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Set, Tuple

from edgefair.probe.model_file import ModelFile
from edgefair.probe.onnx_files.protobuf import Value, fields

MODEL_GRAPH, MODEL_METADATA = 7, 14
GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_SPARSE_INITIALIZER = 5, 11, 12, 15
# onnx.proto's numbers of the types of elements, with onnxruntime's names.
_NAMES = (
    "float uint8 int8 uint16 int16 int32 int64 string bool float16 double uint32 uint64 complex64 complex128 bfloat16 "
    "float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz uint4 int4 float4e2m1 float8e8m0 uint2 int2 float6e2m3 "
    "float6e3m2"
)
ELEMENTS = dict(enumerate(_NAMES.split(), start=1))
TENSOR, SEQUENCE, MAP, DENOTATION, SPARSE, OPTIONAL = 1, 4, 5, 6, 8, 9
NESTED = {SEQUENCE: "seq", OPTIONAL: "optional"}
# Of sequences and maps in each other: as deep as protobuf itself goes.
MOST_NESTED = 100


def read_onnx(content: bytes) -> ModelFile:
    """What a file says of itself.

    Raises:
        ValueError: not a model, a text that is not UTF-8, or a name or a metadata key that is there twice.
    """
    graph: Optional[memoryview] = None
    metadata: Dict[str, str] = {}
    for number, value in fields("Model", memoryview(content)):
        if number == MODEL_GRAPH:
            graph = _bytes(value)
        elif number == MODEL_METADATA:
            entry = dict(fields("Entry", _bytes(value)))
            key = _text(entry.get(1))
            if key in metadata:
                raise ValueError(f"its metadata names '{key}' twice")
            metadata[key] = _text(entry.get(2))
    if graph is None:
        raise ValueError("it holds no graph")
    return ModelFile(metadata, *_signatures(graph))


def batch_names(content: bytes) -> Dict[str, str]:
    """The name of the first size of each input that leaves it open; empty where the size has none.

    Raises:
        ValueError: as `read_onnx`.
    """
    leaving_open = {item["name"] for item in read_onnx(content).inputs if item["shape"] and item["shape"][0] is None}
    graph = next(_bytes(value) for number, value in fields("Model", memoryview(content)) if number == MODEL_GRAPH)
    found: Dict[str, str] = {}
    for number, value in fields("Graph", graph):
        info = dict(fields("ValueInfo", _bytes(value))) if number == GRAPH_INPUT else {}
        if info and _text(info.get(1)) in leaving_open:
            tensor = dict(fields("TensorType", _bytes(dict(fields("Type", _bytes(info[2])))[TENSOR])))
            _, first = next(iter(fields("Shape", _bytes(tensor[2]))))
            found[_text(info.get(1))] = _text(dict(fields("Dimension", _bytes(first))).get(2))
    return found


def _signatures(graph: memoryview) -> Tuple[Tuple[Dict[str, Any], ...], Tuple[Dict[str, Any], ...]]:
    """Inputs that have no default, and outputs."""
    defaults: Set[str] = set()
    found: Dict[int, List[Dict[str, Any]]] = {GRAPH_INPUT: [], GRAPH_OUTPUT: []}
    for number, value in fields("Graph", graph):
        if number == GRAPH_INITIALIZER:
            defaults.add(_name_of(_bytes(value)))
        elif number == GRAPH_SPARSE_INITIALIZER:
            defaults.add(_name_of(_bytes(dict(fields("SparseTensor", _bytes(value))).get(1, memoryview(b"")))))
        elif number in found:
            found[number].append(_signature(_bytes(value)))
    for items in found.values():
        names = [item["name"] for item in items]
        if len(set(names)) != len(names):
            raise ValueError("two of its inputs or outputs have the same name")
    return tuple(item for item in found[GRAPH_INPUT] if item["name"] not in defaults), tuple(found[GRAPH_OUTPUT])


def _name_of(tensor: memoryview) -> str:
    return next((_text(value) for number, value in fields("Tensor", tensor) if number == 8), "")


def _signature(info: memoryview) -> Dict[str, Any]:
    parts = dict(fields("ValueInfo", info))
    name = _text(parts.get(1))
    if 2 not in parts:
        return {"name": name, "type": "", "shape": None}
    kind, shape = _type(_bytes(parts[2]), MOST_NESTED)
    return {"name": name, "type": kind, "shape": shape}


def _type(message: memoryview, deep: int) -> Tuple[str, Optional[List[Optional[int]]]]:
    """The name of a type, and the shape of a tensor's."""
    parts = {number: value for number, value in fields("Type", message) if number != DENOTATION}
    if len(parts) != 1 or not deep:
        raise ValueError("an input or output has no type, or several")
    ((number, value),) = parts.items()
    if number in (TENSOR, SPARSE):
        own = dict(fields("TensorType", _bytes(value)))
        kind = f"{'sparse_' if number == SPARSE else ''}tensor({_element(own.get(1))})"
        return kind, None if 2 not in own else [_size(_bytes(dim)) for _, dim in fields("Shape", _bytes(own[2]))]
    if number in NESTED:
        inner = dict(fields("SequenceType", _bytes(value)))
        return f"{NESTED[number]}({_type(_bytes(inner.get(1)), deep - 1)[0]})", None
    if number == MAP:
        inner = dict(fields("MapType", _bytes(value)))
        return f"map({_element(inner.get(1))},{_type(_bytes(inner.get(2)), deep - 1)[0]})", None
    return "opaque", None


def _element(number: Optional[Value]) -> str:
    if not isinstance(number, int) or number not in ELEMENTS:
        raise ValueError(f"an input or output holds elements of type {number}, which ONNX does not define")
    return ELEMENTS[number]


def _size(dimension: memoryview) -> Optional[int]:
    """One size of a shape; None where it is dynamic, as it also is where a writer says -1."""
    parts = dict(fields("Dimension", dimension))
    if 1 in parts and 2 in parts:
        raise ValueError("a size has a number and a name")
    value = parts.get(1)
    return value if isinstance(value, int) and value < 1 << 63 else None


def _bytes(value: Optional[Value]) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError("an input or output has a type without elements")
    return value


def _text(value: Optional[Value]) -> str:
    return "" if value is None else bytes(_bytes(value)).decode()
