"""Glyphs: synthetic pictures whose share, contrast, texture and base rate per group are knobs.

SYNTHETIC: no picture shows a person, and a number measured here says nothing about people. It is for studies in which
the cause of a gap must be known. Lineage: Trifeature (Hermann & Lampinen, NeurIPS 2020), where shape, texture and
colour vary independently; CIFAR-10S (Wang et al., CVPR 2020), where the look of a class is skewed by a known share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgefair.data.hashing import mix
from edgefair.data.images.noise import pixel_noise

SHAPES = ("square", "ring", "triangle", "cross", "diamond", "plus", "hexagon", "bars", "arc", "corner")

# Half the width of the majority's strokes and the softness of their edges, in units of half the picture.
STROKE, EDGE = 0.13, 0.09
# Grey values: of the background, and what a stroke of full contrast adds.
GREY, INK = 0.32, 0.5
# The majority's share of the texture.
FAINT = 0.3
DEFAULT_RATES = (0.60, 0.25)


class GlyphConfig(BaseModel):
    """Options of the generator. The first group is the majority; what is said of the minority holds for all others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(15_000, ge=100, description="Rows to train and validate with.")
    audit_rows: int = Field(8_000, ge=8, description="Audit rows, equally many in every (group, label) cell.")
    size: int = Field(24, ge=8, le=512, description="Height and width, in pixels.")
    classes: int = Field(2, ge=2, le=len(SHAPES), description="Number of shapes to tell apart.")
    groups: tuple[str, ...] = Field(("majority", "minority"), min_length=2, description="Names of the groups.")
    share: float = Field(0.12, gt=0, lt=1, description="Share of all groups but the first in the training rows.")
    contrast: float = Field(0.4, gt=0, le=1, description="Contrast of the minority's strokes; the majority's is 1.")
    stroke: float = Field(0.6, gt=0, le=2, description="Width of the minority's strokes; the majority's is 1.")
    texture: float = Field(0.15, ge=0, le=1, description="Amplitude of the stripes behind the minority's shapes.")
    base_rates: tuple[float, ...] | None = Field(
        None, description="Two classes: P(second class | group) in training. Default: 0.60, 0.25; else equal."
    )
    label_noise: float = Field(0.0, ge=0, lt=1, description="Share of the training labels that are wrong.")
    noise: float = Field(0.07, ge=0, le=1, description="Standard deviation of each pixel.")
    seed: int = Field(0, ge=0, description="Draws the rows and the pictures.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.groups)) != len(self.groups):
            raise ValueError("a group is listed twice in `groups`")
        cells = len(self.groups) * self.classes
        if self.audit_rows < cells:
            raise ValueError(f"{self.audit_rows} audit rows for {cells} cells: give each cell at least one")
        if self.base_rates is not None:
            if self.classes != 2:
                raise ValueError(f"`base_rates` are for two classes, and there are {self.classes}")
            if len(self.base_rates) != len(self.groups):
                raise ValueError(f"`base_rates` has {len(self.base_rates)} rates for {len(self.groups)} groups")
            if not all(0 < rate < 1 for rate in self.base_rates):
                raise ValueError("`base_rates` must lie between 0 and 1")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """What the model tells apart, in the order of its classes."""
        return SHAPES[: self.classes]

    def class_shares(self) -> NDArray[np.float64]:
        """P(class | group) in the training rows, float64 [groups, classes]."""
        rates = self.base_rates
        if rates is None and self.classes == len(self.groups) == 2:
            rates = DEFAULT_RATES
        if rates is None:
            return np.full((len(self.groups), self.classes), 1 / self.classes)
        return np.array([(1 - rate, rate) for rate in rates])


@dataclass(frozen=True, eq=False)
class GlyphRows:
    """All rows, training rows first; every array is [rows].

    Attributes:
        label: the label as it is observed, int32.
        shape: what is drawn, int32; in the audit rows the same.
        group: index into the groups, int32.
        split: 0 for training, 1 for audit, int32.
        seed: what a picture is drawn from, uint64; no two rows share one.
    """

    label: NDArray[np.int32]
    shape: NDArray[np.int32]
    group: NDArray[np.int32]
    split: NDArray[np.int32]
    seed: NDArray[np.uint64]


def glyph_rows(config: GlyphConfig) -> GlyphRows:
    """Draw groups, labels and seeds; pictures are drawn by `draw` when they are needed."""
    rng = np.random.default_rng([config.seed, 1])
    groups = len(config.groups)
    shares = np.array([1 - config.share] + [config.share / (groups - 1)] * (groups - 1))
    group = rng.choice(groups, config.rows, p=shares)
    chosen = np.cumsum(config.class_shares(), axis=1)[group]
    shape = (rng.random((config.rows, 1)) > chosen[:, :-1]).sum(axis=1)
    wrong = rng.random(config.rows) < config.label_noise
    label = np.where(wrong, (shape + rng.integers(1, config.classes, config.rows)) % config.classes, shape)

    cells = groups * config.classes
    cell = rng.permutation(np.repeat(np.arange(cells), config.audit_rows // cells))
    audit_group, audit_shape = np.divmod(cell, config.classes)
    rows = config.rows + len(cell)
    start = mix(np.array([config.seed], dtype=np.uint64))
    return GlyphRows(
        label=np.concatenate([label, audit_shape]).astype(np.int32),
        shape=np.concatenate([shape, audit_shape]).astype(np.int32),
        group=np.concatenate([group, audit_group]).astype(np.int32),
        split=np.repeat([0, 1], [config.rows, len(cell)]).astype(np.int32),
        seed=mix(np.add(start, np.arange(rows, dtype=np.uint64), dtype=np.uint64)),
    )


def draw(config: GlyphConfig, shape: NDArray[Any], group: NDArray[Any], seed: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The pictures of some rows: uint8 [rows, size, size, 3], grey.

    A picture depends on the knobs and on its own row alone, not on the rows it is drawn with.

    Args:
        shape: int [rows], index into `SHAPES`.
        group: int [rows], index into the groups.
        seed: uint64 [rows].
    """
    size, rows = config.size, len(seed)
    minority = (group > 0).astype(np.float32)[:, None, None]
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size) - 1
    angle = _uniform(seed, 0, -0.35, 0.35)
    scale = _uniform(seed, 1, 0.5, 0.75)
    x = (axis[None, None, :] - _uniform(seed, 2, -0.18, 0.18)) / scale
    y = (axis[None, :, None] - _uniform(seed, 3, -0.18, 0.18)) / scale
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    distance = np.empty((rows, size, size), dtype=np.float32)
    for index in np.unique(shape):
        mine = shape == index
        distance[mine] = _distance(SHAPES[index], u[mine], v[mine])
    half = STROKE * (1 + minority * np.float32(config.stroke - 1))
    ink = np.clip((half - distance * scale) / np.float32(EDGE) + np.float32(0.5), 0, 1)
    ink *= INK * (1 + minority * np.float32(config.contrast - 1))
    ink += GREY
    ink += _stripes(axis, seed) * (np.float32(config.texture) * (FAINT + (1 - FAINT) * minority))
    if config.noise:
        ink += np.float32(config.noise) * pixel_noise(seed, size)
    grey = (np.clip(ink, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return np.repeat(grey[:, :, :, None], 3, axis=3)


def _distance(shape: str, u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of each point to the middle of the shape's stroke; the shape reaches from -1 to 1."""
    found: NDArray[np.float32] = _of_shape(shape, u, v)
    return found


def _of_shape(shape: str, u: NDArray[np.float32], v: NDArray[np.float32]) -> Any:
    a, b = np.abs(u), np.abs(v)
    outside = np.maximum(a, b) - 1
    match shape:
        case "square":
            return np.abs(outside)
        case "ring":
            return np.abs(np.hypot(u, v) - 1)
        case "triangle":
            return np.abs(np.maximum(0.866 * a - 0.5 * v, v) - 0.6)
        case "cross":
            return np.maximum(np.abs(a - b) * 0.707, outside)
        case "diamond":
            return np.abs(a + b - 1) * 0.707
        case "plus":
            return np.maximum(np.minimum(a, b), outside)
        case "hexagon":
            return np.abs(np.maximum(a, 0.5 * a + 0.866 * b) - 0.9)
        case "bars":
            return np.maximum(np.abs(a - 0.6), outside)
        case "arc":
            return np.maximum(np.abs(np.hypot(u, v) - 1), v)
        case _:
            return np.maximum(np.minimum(np.abs(u + 0.8), np.abs(v - 0.8)), outside)


def _stripes(axis: NDArray[np.float32], seed: NDArray[np.uint64]) -> NDArray[np.float32]:
    """cos(p x + q y + phase) by the addition theorem: [rows, size, size] from two cosines and sines per side."""
    p, q = _uniform(seed, 4, -14, 14), _uniform(seed, 5, -14, 14)
    across = p * axis[None, None, :] + _uniform(seed, 6, 0, 2 * np.pi)
    down = q * axis[None, :, None]
    stripes: NDArray[np.float32] = np.cos(across) * np.cos(down) - np.sin(across) * np.sin(down)
    return stripes


def _uniform(seed: NDArray[np.uint64], stream: int, low: float, high: float) -> NDArray[np.float32]:
    """One value in [low, high) per row and stream: [rows, 1, 1]."""
    bits = mix(seed ^ mix(np.array([stream], dtype=np.uint64))) >> np.uint64(40)
    return (np.float32(low) + bits.astype(np.float32) * np.float32((high - low) / 2**24))[:, None, None]
