"""What a layer reads and gives, as moments: all that a quadratic loss of its weights needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Places of a picture that are looked at, at most, in each row; each for all that a kernel reads there.
PLACES = 32


@dataclass(frozen=True, eq=False)
class Moments:
    """Of one group of channels of a layer, every cell of rows weighing alike.

    Attributes:
        read: mean of the inputs, [inputs].
        given: mean of the outputs, [outputs].
        inner: covariance of the inputs, [inputs, inputs].
        outer: covariance of inputs and outputs, [inputs, outputs].
    """

    read: Floats
    given: Floats
    inner: Floats
    outer: Floats


def moments_of(
    node: onnx.NodeProto,
    weight: NDArray[np.float32],
    read: NDArray[np.float32],
    given: NDArray[np.float32],
    cell: NDArray[np.int64],
    seed: int,
    *,
    centred: bool,
) -> Iterator[Moments]:
    """Of every group of the layer's channels in turn.

    Args:
        node: Conv, Gemm or MatMul.
        weight: as it stands in the graph.
        read: what the layer reads, [rows, ...].
        given: what it should give, [rows, ...].
        cell: of every row, int64 [rows].
        seed: draws the places.
        centred: whether a bias takes care of the means.
    """
    if node.op_type == "Conv":
        parts = _of_places(node, weight, read, given, seed)
    else:
        parts = iter([(_as_rows(node, read), given.reshape(-1, given.shape[-1]))])
    for read_there, given_there in parts:
        x, y = read_there, given_there
        if len(x) % len(cell):
            return
        of = np.repeat(cell, len(x) // len(cell))
        share = 1.0 / np.bincount(of)[of] / len(np.unique(of))
        # In single precision: the products of a wide layer are what all this costs.
        mean_x, mean_y = share @ x, share @ y
        if centred:
            x, y = x - mean_x.astype(np.float32), y - mean_y.astype(np.float32)
        weighed = (x * share[:, None].astype(np.float32)).T
        yield Moments(mean_x, mean_y, (weighed @ x).astype(np.float64), (weighed @ y).astype(np.float64))


def _as_rows(node: onnx.NodeProto, read: NDArray[np.float32]) -> NDArray[np.float32]:
    transposed = any(item.name == "transA" and item.i for item in node.attribute)
    return read.T if transposed else read.reshape(-1, read.shape[-1])


def _of_places(
    node: onnx.NodeProto, weight: NDArray[np.float32], read: NDArray[np.float32], given: NDArray[np.float32], seed: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """What the kernel reads at drawn places and what is given there, of every group of channels."""
    options = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    kernel, axes = weight.shape[2:], weight.ndim - 2
    groups = options.get("group", 1)
    strides, dilations = options.get("strides", [1] * axes), options.get("dilations", [1] * axes)
    pads = _pads(options, read.shape[2:], given.shape[2:], kernel, strides, dilations)
    padded = np.pad(read, [(0, 0), (0, 0), *pads])
    rows, spots = len(read), int(np.prod(given.shape[2:]))
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(spots)[:PLACES])
    at = np.unravel_index(chosen, given.shape[2:])
    offsets = np.indices(kernel).reshape(axes, -1)
    index = tuple(at[axis][:, None] * strides[axis] + offsets[axis][None] * dilations[axis] for axis in range(axes))
    # [rows, channels, places, kernel]
    patches = padded[(slice(None), slice(None), *index)]
    wanted = given.reshape(rows, given.shape[1], spots)[:, :, chosen]
    inputs, outputs = read.shape[1] // groups, given.shape[1] // groups
    for group in range(groups):
        x = patches[:, group * inputs : (group + 1) * inputs]
        y = wanted[:, group * outputs : (group + 1) * outputs]
        yield (
            x.transpose(0, 2, 1, 3).reshape(rows * len(chosen), -1),
            y.transpose(0, 2, 1).reshape(rows * len(chosen), -1),
        )


def _pads(
    options: dict[str, object],
    size: tuple[int, ...],
    given: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: list[int],
    dilations: list[int],
) -> list[tuple[int, int]]:
    """Zeros before and behind every axis."""
    auto = options.get("auto_pad", b"NOTSET")
    if auto in {b"NOTSET", b""}:
        pads: list[int] = list(options.get("pads", [0] * 2 * len(kernel)))  # type: ignore[call-overload]
        return [(pads[axis], pads[axis + len(kernel)]) for axis in range(len(kernel))]
    found = []
    for axis, length in enumerate(kernel):
        total = max(0, (given[axis] - 1) * strides[axis] + (length - 1) * dilations[axis] + 1 - size[axis])
        before = (total + 1) // 2 if auto == b"SAME_LOWER" else total // 2
        found.append((before, total - before))
    return found
