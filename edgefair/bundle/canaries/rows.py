"""Synthetic rows for a model, from its spec and a seeded stream: nobody's picture, text or data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.probe.onnx_files.spec import TEXT, UNSEEN, InputSpec, ModelSpec, PictureSpec, TokenSpec
from edgefair.streams import Stream

ROWS = 64
# Powers of ten between which numbers of a table are drawn: FP16 holds them all.
POWERS = (-2.0, 4.0)

Arrays = dict[str, NDArray[Any]]


def synthetic_rows(spec: ModelSpec, shapes: Mapping[str, Sequence[int | None]]) -> Arrays | None:
    """Rows as `probe.inputs.prepare` takes them: input -> [ROWS, ...]; None where a shape is not known.

    Args:
        shapes: of the graph's inputs, the rows first.
    """
    rng = np.random.default_rng([Stream.CANARIES])
    filled = rng.integers(1, 1 << 30, ROWS)
    found: Arrays = {}
    for item in spec.inputs:
        if item.picture is not None:
            found[item.name] = np.stack(list(_pictures(item.picture, rng)))
        elif item.tokens is not None:
            found[item.name] = _tokens(item, item.tokens, filled, rng)
        elif item.columns:
            found[item.name] = _table(item, rng)
        else:
            shape = shapes[item.name][1:]
            if not all(isinstance(size, int) and size > 0 for size in shape):
                return None
            found[item.name] = _array(item, tuple(int(size or 0) for size in shape), rng)
    return found


def _pictures(spec: PictureSpec, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Extremes, single channels, ramps, chequers, and noise of every brightness and grain; ROWS of them."""
    shape = (spec.height, spec.width, spec.channels)
    down, right = (np.linspace(0, 255, size) for size in shape[:2])
    for value in (0, 255, 127):
        yield np.full(shape, value, np.uint8)
    for ramp in (np.broadcast_to(down[:, None], shape[:2]), np.broadcast_to(right, shape[:2])):
        for channel in range(spec.channels):
            for rest in (0, 255):
                picture = np.full(shape, rest, np.uint8)
                picture[..., channel] = ramp.astype(np.uint8)
                yield picture
    for channel in range(spec.channels):
        picture = np.zeros(shape, np.uint8)
        picture[..., channel] = 255
        yield picture
    for number in range(ROWS - 3 - 5 * spec.channels):
        grain = 1 << (number % 5)
        low, high = np.sort(rng.integers(0, 256, (2, spec.channels)), axis=0)
        coarse = rng.integers(low, high + 1, (-(-spec.height // grain), -(-spec.width // grain), spec.channels))
        fine = coarse.repeat(grain, axis=0).repeat(grain, axis=1)
        yield fine[: spec.height, : spec.width].astype(np.uint8)


def _tokens(item: InputSpec, spec: TokenSpec, filled: NDArray[np.int64], rng: np.random.Generator) -> NDArray[Any]:
    """Texts of every length, from one token to all that there is room for; the same lengths for every part."""
    length = 1 + filled % spec.length
    length[:2] = 1, spec.length
    inside = np.arange(spec.length) < length[:, None]
    if spec.part == "ids":
        ids = np.where(inside, rng.integers(0, spec.vocabulary, inside.shape), spec.pad)
        return ids.astype(item.dtype)
    return (inside if spec.part == "mask" else np.zeros_like(inside)).astype(item.dtype)


def _table(item: InputSpec, rng: np.random.Generator) -> NDArray[Any]:
    """Numbers of both signs and every size, and every category with those that were never seen."""
    columns = []
    for column in item.columns:
        if column.vocabulary is None:
            power = rng.uniform(*POWERS, ROWS) * (rng.random(ROWS) < 0.5)
            numbers = rng.normal(size=ROWS) * 10.0**power
            numbers[:2] = 0, 1
            if column.missing is not None:
                numbers[rng.random(ROWS) < 0.05] = np.nan
            columns.append(numbers)
        else:
            columns.append(rng.integers(UNSEEN, max(1, column.codes), ROWS).astype(np.float64))
    dtype = np.dtype(np.int32 if item.dtype == TEXT else item.dtype)
    return _as(np.stack(columns, axis=1), dtype)


def _array(item: InputSpec, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    scale = 10.0 ** rng.uniform(-1, 2, (ROWS, *(1 for _ in shape)))
    scale[: ROWS // 2] = 1
    return _as(rng.normal(size=(ROWS, *shape)) * scale, np.dtype(item.dtype))


def _as(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Of a type, whole and within its range where it holds whole numbers."""
    if dtype.kind == "f":
        return values.astype(dtype)
    if dtype.kind == "b":
        return values > 0
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
