"""Weights as integers, one scale per output channel or one for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

# The largest code: all of INT8; 7 bits, whose products do not saturate in pairs; 4 bits, stored as INT8.
LARGEST = {8: 127, 7: 64, 4: 7}


@dataclass(frozen=True)
class Codes:
    """A weight as w = scale * (codes - zero).

    Attributes:
        codes: int8 or uint8, shaped as the weight.
        scale: float32 [channels], or [] where one is for all.
        zero: 0, or 128 for unsigned codes.
        axis: of the channels; None where one scale is for all.
    """

    codes: NDArray[Any]
    scale: NDArray[np.float32]
    zero: int
    axis: int | None


def encode(weight: NDArray[np.float32], *, axis: int | None, bits: int, unsigned: bool, least: Any = 0.0) -> Codes:
    """Symmetric codes, scale = max |w| / LARGEST[bits] by channel; unsigned codes are the signed ones + 128.

    Unsigned codes are for processors whose kernels for unsigned times signed numbers saturate: they hold the same
    weights to the last bit.

    Args:
        axis: of the output channels; None for one scale for all.
        bits: a key of LARGEST.
        least: float [channels] or a number: no scale is smaller.
    """
    others = None if axis is None else tuple(index for index in range(weight.ndim) if index != axis)
    largest = np.maximum(weight.max(axis=others), -weight.min(axis=others)).astype(np.float64)
    scale = np.maximum(largest / LARGEST[bits], least)
    scale = np.where(scale < np.finfo(np.float32).tiny, 1.0, scale).astype(np.float32)
    shape = [1] * weight.ndim
    if axis is not None:
        shape[axis] = -1
    codes = weight / scale.reshape(shape)
    np.rint(codes, out=codes)
    np.clip(codes, -LARGEST[bits], LARGEST[bits], out=codes)
    if unsigned:
        codes += 128
    return Codes(codes.astype(np.uint8 if unsigned else np.int8), scale, 128 if unsigned else 0, axis)


def channel_axis(node: onnx.NodeProto, rank: int) -> int:
    """The axis of a linear layer's weight that counts its outputs.

    Args:
        node: Conv [out, in, ...], Gemm [in, out] or with transB [out, in], MatMul [..., in, out].
        rank: dimensions of the weight.
    """
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm":
        return 0 if any(item.name == "transB" and item.i for item in node.attribute) else 1
    return rank - 1
