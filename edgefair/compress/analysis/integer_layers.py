"""The INT8 layers of a QDQ graph as the integer products that a processor computes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgefair.graphs.producers import decoder, producers, readers

Integers = NDArray[np.int32]
_ROUNDED_AWAY = frozenset({"Relu", "Clip"})


@dataclass(frozen=True)
class Window:
    """How a convolution walks over its input: one number per spatial axis each.

    Attributes:
        pads: before every axis, then behind every axis; None where `auto_pad` decides by the size of the input.
        lower: with `auto_pad`, whether the odd one goes before.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...] | None
    lower: bool = False

    def padding(self, size: tuple[int, ...]) -> list[tuple[int, int]]:
        """Values added before and behind every axis of an input of this size."""
        axes = len(self.kernel)
        if self.pads is not None:
            return list(zip(self.pads[:axes], self.pads[axes:], strict=True))
        found = []
        for length, kernel, stride, dilation in zip(size, self.kernel, self.strides, self.dilations, strict=True):
            total = max((-(-length // stride) - 1) * stride + (kernel - 1) * dilation + 1 - length, 0)
            before = total - total // 2 if self.lower else total // 2
            found.append((before, total - before))
        return found


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """A product of unsigned activations and signed weights.

    A signed activation counts as the unsigned one 128 above it: onnxruntime makes it so on x86.

    Attributes:
        node: name of the Conv, Gemm or MatMul.
        values: name of its quantized input, a uint8 or int8 value.
        shift: what makes that input unsigned: 0, or 128.
        zero: zero point of the unsigned input.
        weight: int32 [groups, outputs, K], with K running over kernel positions, then input channels: the order in
            which the kernels of onnxruntime go through it.
        scale: of the weights, float64 [groups, outputs].
        window: of a convolution.
    """

    node: str
    values: str
    shift: int
    zero: int
    weight: Integers
    scale: NDArray[np.float64]
    window: Window | None

    def operands(self, values: NDArray[np.integer], places: int, rng: np.random.Generator) -> Integers | None:
        """Unsigned activations that meet the weights in some output places, int32 [rows, places, groups, K].

        Args:
            values: the quantized input of a batch, [rows, ...].
            places: output positions to draw from every row; all, where there are fewer.

        Returns:
            None where the input has no axis of rows.
        """
        x = values.astype(np.int32) + self.shift
        if self.window is not None:
            return _patches(x, self.window, self.zero, len(self.weight), places, rng)
        depth = self.weight.shape[2]
        if x.shape[-1] != depth:
            return None
        x = x.reshape(len(x), -1, 1, depth)
        if x.shape[1] <= places:
            return x
        at = rng.integers(0, x.shape[1], (len(x), places))
        chosen: Integers = x[np.arange(len(x))[:, None], at]
        return chosen


def quantized_layers(model: onnx.ModelProto) -> tuple[QuantizedLayer, ...]:
    """Every Conv, Gemm and MatMul that runs on 8-bit activations and signed 8-bit weights, in the order of the graph.

    A Conv whose output is not quantized runs in float.
    """
    graph = model.graph
    made_by, read_by = producers(graph.node), readers(graph.node)
    constants = {item.name: item for item in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type not in {"Conv", "Gemm", "MatMul"}:
            continue
        source, weights = (decoder(made_by, name) for name in node.input[:2])
        if source is None or weights is None or weights.input[0] not in constants:
            continue
        if node.op_type == "Conv" and not _is_quantized(node.output[0], read_by):
            continue
        layer = _layer(node, source, weights, constants)
        if layer is not None:
            found.append(layer)
    return tuple(found)


def _is_quantized(name: str, read_by: Mapping[str, Sequence[onnx.NodeProto]]) -> bool:
    """Whether a value is quantized, at once or behind an activation that becomes part of the rounding."""
    following = read_by.get(name, ())
    if len(following) == 1 and following[0].op_type in _ROUNDED_AWAY:
        return _is_quantized(following[0].output[0], read_by)
    return bool(following) and all(node.op_type == "QuantizeLinear" for node in following)


def _layer(
    node: onnx.NodeProto,
    source: onnx.NodeProto,
    weights: onnx.NodeProto,
    constants: dict[str, onnx.TensorProto],
) -> QuantizedLayer | None:
    quantized = numpy_helper.to_array(constants[weights.input[0]])
    zero = numpy_helper.to_array(constants[source.input[2]]) if len(source.input) > 2 else np.zeros((), np.uint8)
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if quantized.dtype != np.int8 or zero.dtype not in (np.uint8, np.int8) or options.get("transA"):
        return None
    weight = quantized.astype(np.int32)
    scale = numpy_helper.to_array(constants[weights.input[1]]).astype(np.float64).reshape(-1)
    window = None
    if node.op_type == "Conv":
        groups = int(options.get("group", 1))
        outputs = len(weight) // groups
        if outputs == 1 and weight.shape[1] == 1:
            # Depthwise kernels multiply in 16 bits and add in 32.
            return None
        window = _window(options, weight.shape[2:])
        weight = np.moveaxis(weight, 1, -1).reshape(groups, outputs, -1)
    elif weight.ndim == 2:
        weight = (weight if options.get("transB") else weight.T)[None]
    else:
        return None
    shift = 128 if zero.dtype == np.int8 else 0
    return QuantizedLayer(
        node=node.name,
        values=source.input[0],
        shift=shift,
        zero=int(zero.reshape(-1)[0]) + shift,
        weight=weight,
        scale=np.broadcast_to(scale, (weight.shape[0] * weight.shape[1],)).reshape(weight.shape[:2]),
        window=window,
    )


def _window(options: dict[str, object], kernel: tuple[int, ...]) -> Window:
    def numbers(name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        value = options.get(name, default)
        return tuple(value) if isinstance(value, list | tuple) else default

    ones = (1,) * len(kernel)
    auto = options.get("auto_pad", b"NOTSET")
    pads = numbers("pads", (0,) * 2 * len(kernel))
    return Window(
        kernel=tuple(kernel),
        strides=numbers("strides", ones),
        dilations=numbers("dilations", ones),
        pads=None if auto in {b"SAME_UPPER", b"SAME_LOWER"} else pads,
        lower=auto == b"SAME_LOWER",
    )


def _patches(x: Integers, window: Window, zero: int, groups: int, places: int, rng: np.random.Generator) -> Integers:
    """Some windows of every row, int32 [rows, places, groups, K]."""
    rows, channels, *size = x.shape
    padded = np.pad(x, [(0, 0), (0, 0), *window.padding(tuple(size))], constant_values=zero)
    area = padded.shape[2:]
    reach = [(kernel - 1) * dilation for kernel, dilation in zip(window.kernel, window.dilations, strict=True)]
    steps = [(length - far - 1) // stride + 1 for length, far, stride in zip(area, reach, window.strides, strict=True)]
    total = math.prod(steps)
    if total <= places:
        chosen = np.broadcast_to(np.arange(total), (rows, total))
    else:
        chosen = rng.integers(0, total, (rows, places))
    corner = [at * stride for at, stride in zip(np.unravel_index(chosen, steps), window.strides, strict=True)]
    offsets = itertools.product(*(range(count) for count in window.kernel))
    cells = []
    for offset in offsets:
        place = [at + step * dilation for at, step, dilation in zip(corner, offset, window.dilations, strict=True)]
        cells.append(np.ravel_multi_index(place, area))
    flat = np.moveaxis(padded.reshape(rows, channels, -1), 1, -1)
    found = flat[np.arange(rows)[:, None, None], np.stack(cells, axis=-1)]
    # [rows, places, positions, groups, channels of a group] -> K runs over positions, then channels.
    split = found.reshape(*found.shape[:3], groups, channels // groups)
    moved: Integers = np.moveaxis(split, 3, 2).reshape(*found.shape[:2], groups, -1)
    return moved
