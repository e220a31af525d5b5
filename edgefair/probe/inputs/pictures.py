"""A picture of any size -> a picture of the model's size -> the model's input, with numpy alone.

`resize` gives the same bytes as Pillow does, first along the rows and then along the columns, so that a device without
Pillow sees what the audit saw.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Callable, Mapping, Tuple

import numpy as np

from edgefair.probe.onnx_files.spec import NEAREST, PictureSpec

# Of a picture, of what one pass of resizing makes of it, and of that pass's weights: far above any photograph that a
# small model sees, and below what fills a device's memory. A file of 1 KB can claim more.
MAX_PIXELS = 1 << 26
# Of a pass, in memory as float64 at one time.
VALUES_AT_ONCE = 1 << 22
# Pillow sums 8-bit values in fixed point with so many bits behind the point.
PRECISION_BITS = 22


def _triangle(x: np.ndarray) -> np.ndarray:
    height: np.ndarray = np.maximum(0.0, 1.0 - np.abs(x))
    return height


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution with a = -0.5 (Keys 1981)."""
    a = -0.5
    x = np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(x: np.ndarray) -> np.ndarray:
    """sinc(x) sinc(x / 3) for -3 <= x < 3."""
    return np.where((x >= -3.0) & (x < 3.0), np.sinc(x) * np.sinc(x / 3.0), 0.0)


def _box(x: np.ndarray) -> np.ndarray:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


# Filter and how far it reaches, in pixels of the coarser of the two pictures.
FILTERS: Mapping[str, Tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
    "lanczos": (_lanczos, 3.0),
    "box": (_box, 0.5),
}


def fit(picture: np.ndarray, spec: PictureSpec) -> np.ndarray:
    """uint8 [any height, any width, channels] -> uint8 [spec.height, spec.width, channels].

    Raises:
        ValueError: not a picture of as many channels as the spec says, smaller than its centre, or far too large.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != spec.channels:
        raise ValueError(
            f"a picture is {picture.dtype} {list(picture.shape)}, not uint8 [height, width, {spec.channels}]"
        )
    height, width = resized(picture.shape[0], picture.shape[1], spec)
    top, left = centre(height, width, spec)
    return np.ascontiguousarray(
        resize(picture, height, width, spec.resample)[top : top + spec.height, left : left + spec.width]
    )


def resized(height: int, width: int, spec: PictureSpec) -> Tuple[int, int]:
    """Height and width of the whole picture after resizing.

    Raises:
        ValueError: it has no pixels, or would need more than `MAX_PIXELS` on the way.
    """
    if not height or not width:
        raise ValueError("the picture has no pixels")
    to_height, to_width = (spec.height, spec.width) if spec.stretched is None else spec.stretched
    if spec.shorter is not None:
        short = min(height, width)
        to_height, to_width = (max(1, side * spec.shorter // short) for side in (height, width))
    for rows, columns in ((height, width), (height, to_width), (to_height, to_width)):
        if rows * columns > MAX_PIXELS:
            raise ValueError(f"the picture is {height} x {width}, and resizing makes more than {MAX_PIXELS:,} pixels")
    if max(height * to_height, width * to_width) > MAX_PIXELS:
        raise ValueError(f"the picture is {height} x {width}: too elongated to be resized to {to_height} x {to_width}")
    return to_height, to_width


def centre(height: int, width: int, spec: PictureSpec) -> Tuple[int, int]:
    """Top and left of the part that is kept of a resized picture.

    Raises:
        ValueError: the resized picture is smaller than that part.
    """
    if height < spec.height or width < spec.width:
        raise ValueError(f"the picture is {height} x {width} after resizing, smaller than {spec.height} x {spec.width}")
    return (height - spec.height) // 2, (width - spec.width) // 2


def resize(picture: np.ndarray, height: int, width: int, resample: str) -> np.ndarray:
    """Separable resampling of uint8 [rows, columns, channels]: width first, rounded after each pass.

    Every filter but `nearest` is antialiased.
    """
    if resample == NEAREST:
        rows, columns = _nearest(picture.shape[0], height), _nearest(picture.shape[1], width)
        return np.ascontiguousarray(picture[rows[:, None], columns])
    if width != picture.shape[1]:
        picture = _pass(_weights(picture.shape[1], width, resample), picture.swapaxes(0, 1)).swapaxes(0, 1)
    if height != picture.shape[0]:
        picture = _pass(_weights(picture.shape[0], height, resample), picture)
    return picture


def _nearest(before: int, after: int) -> np.ndarray:
    """The pixel under the middle of each new one, int64 [after]; steps are summed up and round as Pillow's do."""
    scale = before / after
    middles = np.cumsum(np.concatenate([[scale * 0.5], np.full(after - 1, scale)]))
    return np.minimum(middles.astype(np.int64), before - 1)


def _pass(weights: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Weigh the first axis. float64 holds these whole numbers exactly, so the order of summing does not matter."""
    after, (before, *rest) = len(weights), picture.shape
    flat = picture.reshape(before, -1)
    result = np.empty((after, flat.shape[1]), dtype=np.uint8)
    step = max(1, VALUES_AT_ONCE // max(before, after))
    for start in range(0, flat.shape[1], step):
        sums = weights @ flat[:, start : start + step].astype(np.float64)
        values = np.floor((sums + 2.0 ** (PRECISION_BITS - 1)) * 2.0**-PRECISION_BITS)
        result[:, start : start + step] = np.clip(values, 0.0, 255.0)
    return result.reshape(after, *rest)


@lru_cache(maxsize=64)
def _weights(before: int, after: int, resample: str) -> np.ndarray:
    """Fixed-point weights, float64 [after, before] holding whole numbers."""
    function, reach = FILTERS[resample]
    scale = before / after
    stretch = max(scale, 1.0)
    weights = np.zeros((after, before))
    for row in range(after):
        middle = (row + 0.5) * scale
        first = max(0, math.floor(middle - reach * stretch + 0.5))
        last = min(before, math.floor(middle + reach * stretch + 0.5))
        values = function((np.arange(first, last) - middle + 0.5) * (1.0 / stretch))
        values = values * (1.0 / values.sum())
        weights[row, first:last] = np.trunc(values * 2.0**PRECISION_BITS + np.where(values < 0, -0.5, 0.5))
    return weights


def normalized(pictures: np.ndarray, spec: PictureSpec, dtype: str) -> np.ndarray:
    """uint8 [rows, height, width, channels] -> the graph's input in the spec's layout and scale."""
    if spec.mean is not None and spec.std is not None:
        mean, std = np.array(spec.mean, dtype=np.float32), np.array(spec.std, dtype=np.float32)
        pictures = (pictures.astype(np.float32) / np.float32(255.0) - mean) / std
    if spec.layout == "nchw":
        pictures = pictures.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pictures, dtype=np.dtype(dtype))
