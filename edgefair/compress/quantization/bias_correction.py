"""Bias correction of the last layer, in which every (group, label) cell has the same weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgefair.errors import DataError, ModelError
from edgefair.graphs.editor import Editor
from edgefair.graphs.names import Names

if TYPE_CHECKING:
    from edgefair.debias.post import Answers
    from edgefair.probe.onnx_files.spec import ModelSpec

Floats = NDArray[np.float64]


def correct_bias(
    model: onnx.ModelProto,
    reference: onnx.ModelProto,
    spec: ModelSpec,
    answers: Answers,
    cell: NDArray[np.int64],
) -> tuple[onnx.ModelProto, Floats]:
    """The compressed model with its mean logits put back where the reference's are, and the shift of each class.

    shift = mean over cells of the mean over the cell's rows of (reference logits - compressed logits), added to the
    last layer's bias. Rounding moves the mean of a layer's output (Nagel et al., "Data-free quantization through weight
    equalization and bias correction", ICCV 2019); with equally weighted cells, what is put back is not the mean of the
    largest group.

    Args:
        model: the compressed graph.
        reference: the graph it was made from.
        spec: how both are read.
        answers: runs a graph on some rows.
        cell: index of the cell of each of these rows, int64 [rows].

    Raises:
        ModelError: a graph that does not end in a linear layer, or models with other logits.
        DataError: no rows.
    """
    if len(cell) == 0:
        raise DataError("bias correction has no rows", expected="rows of every (group, label) cell")
    before, wanted = (_logits(item, spec, answers) for item in (model, reference))
    if before.shape != wanted.shape:
        raise ModelError(f"the compressed model gives logits {before.shape[1:]}", expected=f"{wanted.shape[1:]}")
    difference = wanted - before
    shift = np.mean([difference[cell == index].mean(axis=0) for index in np.unique(cell)], axis=0)
    return _shifted(model, Editor(model, spec).last_layer().logits, shift.astype(np.float32)), shift


def _logits(model: onnx.ModelProto, spec: ModelSpec, answers: Answers) -> Floats:
    editor = Editor(model, spec)
    name = editor.last_layer().logits
    return answers(editor.exposed([name]), [name])[0].astype(np.float64)


def _shifted(model: onnx.ModelProto, logits: str, shift: NDArray[np.float32]) -> onnx.ModelProto:
    """The model with a constant added to its logits: in the bias where there is one, else by one more node."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph, names = changed.graph, Names.of(changed)
    at, node = next((at, item) for at, item in enumerate(graph.node) if logits in item.output)
    if not _shift_bias(graph, node, shift, names):
        raw, constant = names.fresh(f"{logits}/uncorrected"), names.fresh(f"{logits}/shift")
        node.output[:] = [raw if name == logits else name for name in node.output]
        graph.initializer.append(numpy_helper.from_array(shift, constant))
        graph.node.insert(
            at + 1, helper.make_node("Add", [raw, constant], [logits], names.fresh(f"{logits}/corrected"))
        )
    onnx.checker.check_model(changed)
    return changed


def _shift_bias(graph: onnx.GraphProto, node: onnx.NodeProto, shift: NDArray[np.float32], names: Names) -> bool:
    """Shift the constant that a node adds, float or 32-bit integers with a scale; whether it has one."""
    constants = {item.name: item for item in graph.initializer}
    if node.op_type == "Gemm" and len(node.input) == 3 and not any(item.name == "beta" for item in node.attribute):
        added = node.input[2]
    elif node.op_type == "Add":
        added = next((name for name in node.input if name in constants), "")
    else:
        return False
    source = next((item for item in graph.node if added in item.output), None)
    if added in constants:
        value, reader = numpy_helper.to_array(constants[added]) + shift, node
    elif source is not None and source.op_type == "DequantizeLinear" and source.input[0] in constants:
        integers = numpy_helper.to_array(constants[source.input[0]])
        scale = numpy_helper.to_array(constants[source.input[1]])
        moved = integers.astype(np.float64) + np.rint(shift.astype(np.float64) / scale)
        limits = np.iinfo(integers.dtype)
        if integers.shape != shift.shape or moved.max() > limits.max or moved.min() < limits.min:
            return False
        value, reader, added = moved.astype(integers.dtype), source, source.input[0]
    else:
        return False
    name = names.fresh(f"{node.name}/corrected")
    graph.initializer.append(numpy_helper.from_array(value, name))
    reader.input[:] = [name if item == added else item for item in reader.input]
    if not any(added in item.input for item in graph.node):
        graph.initializer.remove(constants[added])
    return True
