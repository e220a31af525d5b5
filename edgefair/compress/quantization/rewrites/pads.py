"""Zeros around pictures as part of the convolution that reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgefair.graphs.producers import producers, readers


def fold_pads(model: onnx.ModelProto) -> None:
    """Conv(Pad(x)) -> Conv with these pads, and `auto_pad` -> pads, in place, where that is exact.

    A network with the paddings of TensorFlow ("static same") has a Pad in front of every convolution with a stride:
    no kernel pads codes, so there everything goes back to float. A Pad that fills with anything but zero, moves more
    than pictures' sides, cuts, or is computed stays.
    """
    graph = model.graph
    constant = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    given, outputs = producers(graph.node), {item.name for item in graph.output}
    read = readers(graph.node)
    shapes = _shapes(graph)
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        _write_pads(node, constant, shapes)
        pad = given.get(node.input[0])
        around = None if pad is None else _sides(pad, constant)
        if pad is None or around is None or _attribute(node, "auto_pad", b"NOTSET") not in {b"NOTSET", b"VALID"}:
            continue
        spatial = len(around) // 2
        own = list(_attribute(node, "pads", [0] * (2 * spatial)))
        if len(own) != 2 * spatial:
            continue
        _set(node, "auto_pad", "NOTSET")
        _set(node, "pads", [a + b for a, b in zip(own, around, strict=True)])
        node.input[0] = pad.input[0]
        read[pad.output[0]] = [item for item in read[pad.output[0]] if item is not node]
    for node in [node for node in graph.node if node.op_type == "Pad"]:
        if not read[node.output[0]] and node.output[0] not in outputs:
            graph.node.remove(node)


def _sides(node: onnx.NodeProto, constant: Mapping[str, NDArray[Any]]) -> list[int] | None:
    """The zeros before and behind every spatial axis, as Conv writes them; None where a Pad does something else."""
    if node.op_type != "Pad" or _attribute(node, "mode", b"constant") != b"constant":
        return None
    inputs = [*node.input, "", "", ""][:4]
    if any(name and name not in constant for name in inputs[1:]) or not inputs[1]:
        return None
    pads = constant[inputs[1]].tolist()
    if inputs[2] and constant[inputs[2]].ravel().any():
        return None
    half = len(pads) // 2
    if inputs[3]:
        axes = constant[inputs[3]].tolist()
        if any(axis < 0 for axis in axes) or len(axes) != half:
            return None
        rank = max(4, *(axis + 1 for axis in axes))
        whole = [0] * (2 * rank)
        for index, axis in enumerate(axes):
            whole[axis], whole[rank + axis] = pads[index], pads[half + index]
        pads, half = whole, rank
    beside = [*pads[:2], *pads[half : half + 2]]
    return None if any(beside) or min(pads) < 0 else [*pads[2:half], *pads[half + 2 :]]


def _write_pads(node: onnx.NodeProto, constant: Mapping[str, NDArray[Any]], shapes: Mapping[str, list[int]]) -> None:
    """SAME_UPPER or SAME_LOWER as numbers, where the picture's sides are known."""
    way = _attribute(node, "auto_pad", b"NOTSET")
    sides, weight = shapes.get(node.input[0], [])[2:], constant.get(node.input[1])
    if way not in {b"SAME_UPPER", b"SAME_LOWER"} or not sides or not all(sides) or weight is None:
        return
    kernel = list(_attribute(node, "kernel_shape", weight.shape[2:]))
    strides = list(_attribute(node, "strides", [1] * len(sides)))
    dilations = list(_attribute(node, "dilations", [1] * len(sides)))
    less, more = [], []
    for side, size, stride, dilation in zip(sides, kernel, strides, dilations, strict=True):
        wanted = max((math.ceil(side / stride) - 1) * stride + (size - 1) * dilation + 1 - side, 0)
        less.append(wanted // 2)
        more.append(wanted - wanted // 2)
    _set(node, "auto_pad", "NOTSET")
    _set(node, "pads", [*less, *more] if way == b"SAME_UPPER" else [*more, *less])


def _shapes(graph: onnx.GraphProto) -> dict[str, list[int]]:
    """Value -> its dimensions, 0 where one is open."""
    return {
        item.name: [dim.dim_value for dim in item.type.tensor_type.shape.dim]
        for item in (*graph.value_info, *graph.input)
    }


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    found = next((item for item in node.attribute if item.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def _set(node: onnx.NodeProto, name: str, value: Any) -> None:
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
