"""ExecuTorch: a flatbuffer with segments of weights behind it, and behind them an archive with edgefair's texts.

Its inputs and outputs have no names: they are input_0, input_1, ... and output_0, ... here.
https://github.com/pytorch/executorch/blob/main/schema/program.fbs
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Tuple

from edgefair.probe.formats.appended import appended
from edgefair.probe.formats.batches import check_batches
from edgefair.probe.formats.flatbuffer import Table, begins_with
from edgefair.probe.model_file import ModelFile

IDENTIFIER, HEADER = b"ET12", b"eh00"
METHOD = "forward"
PROGRAM_PLANS, PROGRAM_SEGMENTS = 1, 4
PLAN_NAME, PLAN_VALUES, PLAN_INPUTS, PLAN_OUTPUTS, PLAN_OPERATORS, PLAN_DELEGATES = 0, 2, 3, 4, 6, 7
VALUE_KIND, VALUE, KIND_TENSOR = 0, 1, 5
TENSOR_TYPE, TENSOR_SIZES, TENSOR_DYNAMISM, TENSOR_MORE = 0, 2, 8, 9
MORE_LOCATION = 2
# The schema's numbers of types, with onnxruntime's names of tensors of them.
TYPES = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float", 7: "double", 11: "bool",
    15: "bfloat16", 27: "uint16", 28: "uint32", 29: "uint64",
}  # fmt: skip
# What the names of operators that quantize begin with.
QUANTIZING = "quantized_decomposed::"


class ExecuTorch:
    """See `probe.formats.base.FileFormat`."""

    name = "ExecuTorch"
    suffix = ".pte"

    def recognises(self, content: bytes) -> bool:
        """By its identifier."""
        return begins_with(content, IDENTIFIER)

    def check_whole(self, content: bytes) -> None:
        """Refuse what is no such program, and one with tensors in other files (ValueError)."""
        if not content:
            raise ValueError("it is empty")
        if not self.recognises(content):
            raise ValueError("it is damaged or no ExecuTorch program: it does not begin with the identifier ET12")
        base = int.from_bytes(content[24:32], "little") if content[8:12] == HEADER else 0
        for segment in Table.root(content).tables(PROGRAM_SEGMENTS):
            if base + segment.whole(0, "<Q") + segment.whole(1, "<Q") > len(content):
                raise ValueError("it is truncated: a segment lies beyond its end")
        for tensor in _tensors(_plan(content)).values():
            more = tensor.table(TENSOR_MORE)
            if more is not None and more.whole(MORE_LOCATION, "<b"):
                raise ValueError("it keeps tensors in other files (.ptd), which the digest would not cover")

    def read(self, content: bytes) -> ModelFile:
        """Inputs and outputs of its method `forward`, and the texts behind it.

        Raises:
            ValueError: also where one of them is no tensor, or has no dimension for rows or takes several at a time.
        """
        plan = _plan(content)
        tensors = _tensors(plan)
        inputs = _side("input", plan.numbers(PLAN_INPUTS, "<i4"), tensors)
        outputs = _side("output", plan.numbers(PLAN_OUTPUTS, "<i4"), tensors)
        check_batches(inputs, outputs)
        names = (operator.text(0) for operator in plan.tables(PLAN_OPERATORS))
        few = next((f"operator {name}" for name in names if name.startswith(QUANTIZING)), None)
        return ModelFile(appended(content), inputs, outputs, few)


FORMAT = ExecuTorch()


def backends_of(content: bytes) -> Tuple[str, ...]:
    """Whose kernels run parts of the program, by the names of the backends that they were lowered to."""
    return tuple(sorted({item.text(0) for item in _plan(content).tables(PLAN_DELEGATES)}))


def most_rows(content: bytes) -> int:
    """How many rows its inputs hold at once."""
    plan = _plan(content)
    tensors = _tensors(plan)
    sizes = [
        tensors[int(index)].numbers(TENSOR_SIZES, "<i4") or [1] for index in plan.numbers(PLAN_INPUTS, "<i4") or ()
    ]
    return int(min(size[0] for size in sizes))


def _plan(content: bytes) -> Table:
    for plan in Table.root(content).tables(PROGRAM_PLANS):
        if plan.text(PLAN_NAME) == METHOD:
            return plan
    raise ValueError(f"it has no method '{METHOD}'")


def _tensors(plan: Table) -> Dict[int, Table]:
    """The tensors among the values of a method, by their position."""
    return {index: tensor for index, tensor in enumerate(_values(plan)) if tensor is not None}


def _values(plan: Table) -> Iterator[Any]:
    for value in plan.tables(PLAN_VALUES):
        yield value.table(VALUE) if value.whole(VALUE_KIND, "<B") == KIND_TENSOR else None


def _side(what: str, indices: Any, tensors: Dict[int, Table]) -> Tuple[Dict[str, Any], ...]:
    found: List[Dict[str, Any]] = []
    for position, index in enumerate(indices or ()):
        if index not in tensors:
            raise ValueError(f"its {what} {position} is no tensor")
        tensor = tensors[index]
        number = tensor.whole(TENSOR_TYPE, "<b")
        shape: List[Any] = [int(size) for size in tensor.numbers(TENSOR_SIZES, "<i4") or ()]
        # Sizes of a dynamic tensor are its largest; which of them may be smaller, the file does not say.
        if shape and shape[0] != 1 and tensor.whole(TENSOR_DYNAMISM, "<b"):
            shape[0] = None
        kind = TYPES.get(number, f"type {number}")
        found.append({"name": f"{what}_{position}", "type": f"tensor({kind})", "shape": shape})
    return tuple(found)
