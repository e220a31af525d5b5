"""Whether an INT8 graph computes what its FP32 graph does, node by node, up to what integers explain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgefair.compress.quantization.pairing import Pairing
from edgefair.errors import ModelError
from edgefair.graphs.inner_values import inner_values
from edgefair.graphs.names import Names

Floats = NDArray[np.float64]

# What rounding in float32 adds: as a share of a step, and of a number.
SLACK, FLOAT32 = 1e-3, 1e-5
# Of an output, as a share of the largest: what fusing layers rounds.
ROUNDING = 1e-3
# Steps of an embedding's row, up to its largest number.
ROW_STEPS = 127


@dataclass(frozen=True)
class Disagreement:
    """A node whose INT8 form computes something else.

    Attributes:
        node: its name in the FP32 graph.
        operator: of that node.
        found: what differs, in words.
    """

    node: str
    operator: str
    found: str


def disagreements(
    prepared: onnx.ModelProto, quantized: onnx.ModelProto, rows: Mapping[str, NDArray[Any]]
) -> tuple[Disagreement, ...]:
    """Nodes of an INT8 graph that differ from the FP32 graph's by more than their own integers explain.

    Every node is looked at by itself: it must read what the FP32 node reads, or codes of that; codes of a weight or a
    bias must be the FP32 numbers to half a step; and what a node gives as codes must be, to half a step and within the
    range of the codes, what the FP32 operator and the clamp behind it give on the very inputs that the INT8 node reads.
    So errors do not add up, and what folding, fusing or placing assumed shows itself where it is wrong. The INT8 graph
    is computed as it is written, without a runtime's fusions.

    Args:
        prepared: the FP32 graph.
        quantized: the QDQ graph made from it, whose nodes have the same names.
        rows: a few rows as graph inputs.

    Raises:
        ModelError: onnxruntime cannot run the INT8 graph.
    """
    pairing = Pairing(prepared, quantized)
    miswired = tuple(_miswired(pairing))
    if miswired:
        return miswired
    model, compared = _beside(pairing)
    found: dict[str, Disagreement] = {}
    names = list(dict.fromkeys(name for item in compared for name in (item.reference, item.value)))
    for values in inner_values(model, names, [dict(rows)]) if names else ():
        for item in compared:
            said = item.unexplained(values[item.reference], values[item.value])
            if said is not None:
                found.setdefault(item.node.name, Disagreement(item.node.name, item.node.op_type, said))
    return tuple(found.values())


def check_agreement(found: Sequence[Disagreement]) -> None:
    """Refuse a graph that computes something else.

    Raises:
        ModelError: it does, by the fault of what made it.
    """
    if found:
        first = found[0]
        more = f" (and {len(found) - 1} more nodes)" if len(found) > 1 else ""
        raise ModelError(
            f"the INT8 graph does not compute what the FP32 graph does: {first.operator} '{first.node}': "
            f"{first.found}{more}",
            expected="differences that rounding to 8 bits explains",
            fix="this is a bug in edgefair: please report it with the model, and omit --int8 until then",
        )


def check_prepared(model: onnx.ModelProto, prepared: onnx.ModelProto, rows: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a graph that preparation has changed: one whose outputs are others in most rows.

    A row in which a hard decision inside of the graph falls otherwise by rounding is none of its errors.

    Raises:
        ModelError: it has, or onnxruntime cannot run either graph.
    """
    names = [item.name for item in model.graph.output]
    before, after = (next(inner_values(item, names, [dict(rows)])) for item in (model, prepared))
    for name in names:
        wanted, found = before[name].astype(np.float64), after[name].astype(np.float64)
        same = np.isclose(found, wanted, rtol=0.0, atol=ROUNDING * np.abs(wanted).max(initial=1.0), equal_nan=True)
        if 2 * int(same.reshape(len(same), -1).all(axis=1).sum()) < len(same):
            raise ModelError(
                f"onnxruntime's optimizer changes the output '{name}' by up to {np.nanmax(np.abs(found - wanted)):.3g}",
                expected="the same numbers up to rounding",
                fix="please report it with the model, and omit --int8 until then",
            )


def _miswired(pairing: Pairing) -> Iterator[Disagreement]:
    """Nodes that are missing, are another operator, or read something else than the FP32 node."""
    for node in pairing.nodes:
        other = pairing.other(node)
        said: str | None = None
        if other is None:
            said = None if pairing.is_folded(node) else "it is not in the INT8 graph"
        elif pairing.is_lookup(node, other) or pairing.is_sum_of_gate(node, other):
            continue
        elif not pairing.is_same_operator(node, other):
            said = f"it became another operator, {other.op_type}"
        else:
            pairs = zip(node.input, other.input, strict=True)
            said = next((found for name, read in pairs if (found := _difference(pairing, name, read))), None)
        if said is not None:
            yield Disagreement(node.name, node.op_type, said)


def _difference(pairing: Pairing, name: str, read: str) -> str | None:
    """Why what an INT8 node reads does not stand for an FP32 value or constant, in words."""
    if read == name or pairing.stands_for(read) == name:
        return None
    decoder = pairing.decoder(read)
    if name not in pairing.constant or decoder is None or decoder.input[0] not in pairing.made:
        return f"it reads '{read}' in place of '{name}'"
    wanted = numpy_helper.to_array(pairing.constant[name]).astype(np.float64)
    codes, scale, zero = (numpy_helper.to_array(pairing.made[item]) for item in decoder.input)
    if scale.ndim:
        axis = next((item.i for item in decoder.attribute if item.name == "axis"), 1) % codes.ndim
        shape = [-1 if index == axis else 1 for index in range(codes.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    decoded = (codes.astype(np.int64) - zero) * scale.astype(np.float64)
    off = np.abs(decoded - wanted) - (scale * (0.5 + SLACK) + FLOAT32 * np.abs(wanted))
    return f"the codes of '{name}' are not its numbers" if (off > 0).any() else None


@dataclass(frozen=True, eq=False)
class _Compared:
    """A value of the INT8 graph, and what it should be.

    Attributes:
        node: the FP32 node that answers for it.
        codes: smallest and largest number that has a code, and the step between two; None for rows of an embedding.
    """

    node: onnx.NodeProto
    reference: str
    value: str
    codes: tuple[float, float, float] | None

    def unexplained(self, reference: NDArray[Any], value: NDArray[Any]) -> str | None:
        """What half a step and the range of the codes do not explain, in words."""
        if reference.shape != value.shape:
            return f"'{self.value}' has the shape {list(value.shape)} instead of {list(reference.shape)}"
        if not value.size or not np.isfinite(reference).all():
            return None
        wanted, step = reference.astype(np.float64), 0.0
        if self.codes is None:
            step = np.abs(wanted).max(axis=-1, keepdims=True) / ROW_STEPS
        else:
            wanted, step = np.clip(wanted, *self.codes[:2]), self.codes[2]
        difference = np.abs(value - wanted)
        if not (difference > step * (0.5 + SLACK) + FLOAT32 * np.abs(wanted)).any():
            return None
        return f"'{self.value}' is off by {difference.max():.3g}, where its codes explain {np.max(step) / 2:.3g}"


def _beside(pairing: Pairing) -> tuple[onnx.ModelProto, list[_Compared]]:
    """The INT8 graph with FP32 nodes beside those that give codes, and what is to be compared."""
    model = onnx.ModelProto()
    model.CopyFrom(pairing.quantized)
    names, compared = Names.of(model), list[_Compared]()

    def add(node: onnx.NodeProto, inputs: list[str]) -> str:
        """A copy of an FP32 node that reads other values; what it gives first."""
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        copied.name = names.fresh(f"{node.name}/reference")
        copied.input[:] = inputs
        copied.output[:] = [names.fresh(f"{name}/reference") if name else "" for name in node.output]
        for name in inputs:
            if name in pairing.constant and name not in there:
                model.graph.initializer.append(pairing.constant[name])
                there.add(name)
        model.graph.node.append(copied)
        return str(copied.output[0])

    def decoded(value: str, quantizer: onnx.NodeProto) -> str:
        """What an FP32 value is behind its codes."""
        there = pairing.decoded(value)
        if there is not None:
            return there
        given = names.fresh(f"{value}/decoded")
        inputs = [quantizer.output[0], *quantizer.input[1:]]
        model.graph.node.append(
            onnx.helper.make_node("DequantizeLinear", inputs, [given], given, domain=quantizer.domain)
        )
        return given

    there = set(pairing.made)
    for node in pairing.nodes:
        other = pairing.other(node)
        if other is None:
            continue
        if pairing.is_lookup(node, other):
            compared.append(_Compared(node, add(node, list(node.input)), other.output[0], None))
            continue
        clamp = pairing.folded_into(node)
        value = node.output[0] if clamp is None else clamp.output[0]
        quantizer = pairing.quantizer(value)
        if quantizer is None:
            continue
        codes = pairing.range_of(quantizer)
        if pairing.is_float(value):
            compared.append(_Compared(node, value, decoded(value, quantizer), codes))
            continue
        inputs = list(other.input)
        if pairing.is_sum_of_gate(node, other):
            source = pairing.quantizer(node.input[0])
            inputs = [node.input[0] if source is None else decoded(node.input[0], source)]
        reference = add(node, inputs)
        if clamp is not None:
            reference = add(clamp, [reference, *clamp.input[1:]])
        compared.append(_Compared(node, reference, decoded(value, quantizer), codes))
    for name in pairing.inputs:
        quantizer = pairing.quantizer(name)
        if quantizer is not None:
            given = decoded(name, quantizer)
            compared.append(_Compared(pairing.reader(given), name, given, pairing.range_of(quantizer)))
    return model, compared
