"""The rows that the networks of `int8_peers.py` are trained and judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgefair.data.config import DataConfig
from edgefair.data.dataset import DataSet, load
from edgefair.data.images.glyphs import GlyphConfig, draw, glyph_rows
from edgefair.probe.onnx_files.spec import ModelSpec

# Ids of padding, of a text's first token, and of the words that speak for either class; the share of such words, and
# how many of them speak for the text's class.
PAD, START = 0, 1
WORDS = (range(100, 116), range(116, 132))
SPEAKING, HONEST = 0.2, 0.75


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as graph inputs [rows, ...], with label and group int64 [rows]."""

    inputs: dict[str, NDArray[Any]]
    label: NDArray[np.int64]
    group: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, part: slice | NDArray[np.int64]) -> Rows:
        return Rows({name: x[part] for name, x in self.inputs.items()}, self.label[part], self.group[part])

    def save(self, path: Path) -> None:
        """Write them as .npz."""
        np.savez(path, label=self.label, group=self.group, **self.inputs)

    @classmethod
    def open(cls, path: Path) -> Rows:
        """Read what `save` wrote."""
        with np.load(path) as arrays:
            inputs = {name: arrays[name] for name in arrays.files if name not in {"label", "group"}}
            return cls(inputs, arrays["label"], arrays["group"])


def glyphs(side: int, rows: int, *, label: Literal["shape", "look"], knobs: Mapping[str, float]) -> tuple[Rows, Rows]:
    """Training and audit rows of the synthetic glyphs, the same ones at every size.

    Args:
        side: height and width in pixels.
        label: the shape, with the look (majority or minority) as the group, or the other way round.
    """
    config = GlyphConfig(rows=max(rows, 100), size=side, audit_rows=1200, base_rates=(0.5, 0.5), **knobs)
    drawn = glyph_rows(config)
    pixels = draw(config, drawn.shape, drawn.group, drawn.seed)
    shape, look = drawn.label.astype(np.int64), drawn.group.astype(np.int64)
    everything = Rows({"picture": pixels}, *((shape, look) if label == "shape" else (look, shape)))
    return everything[np.flatnonzero(drawn.split == 0)[:rows]], everything[np.flatnonzero(drawn.split == 1)]


def texts(rows: int, length: int, vocabulary: int, *, seed: int) -> Rows:
    """About so many texts of random ids, some of which speak for a class: the class is what most of them speak for.

    Groups: texts of up to half the length, and longer ones.
    """
    rng = np.random.default_rng(seed)
    meant, group = rng.integers(0, 2, rows), rng.integers(0, 2, rows)
    half = length // 2
    ends = np.where(group == 0, rng.integers(half // 2, half, rows), rng.integers(half, length + 1, rows))
    ids = rng.integers(WORDS[1].stop, vocabulary, (rows, length))
    side = np.where(rng.random((rows, length)) < HONEST, meant[:, None], 1 - meant[:, None])
    words = np.array(WORDS)[side, rng.integers(0, len(WORDS[0]), (rows, length))]
    ids = np.where(rng.random((rows, length)) < SPEAKING, words, ids)
    ids[:, 0] = START
    ids[np.arange(length) >= ends[:, None]] = PAD
    votes = np.isin(ids, WORDS[1]).sum(axis=1) - np.isin(ids, WORDS[0]).sum(axis=1)
    found = Rows({"input_ids": ids.astype(np.int32)}, (votes > 0).astype(np.int64), group)
    return found[np.flatnonzero(votes)]


def census(base: Path) -> DataSet:
    """Census-Income: real rows, income as the label, sex as the group."""
    return load(DataConfig(source="census-income", sensitive=("sex",)), base=base, roles=("train", "audit"))


def some_of(data: DataSet, spec: ModelSpec, role: Literal["train", "audit"], most: int) -> Rows:
    """Up to so many rows of a split."""
    rows = data.splits[role]
    taken = rows.take(np.sort(np.random.default_rng(0).permutation(len(rows))[:most]))
    batches = list(taken.inputs(spec, 4096))
    inputs = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    return Rows(inputs, taken.label.astype(np.int64), taken.sensitive["sex"].codes.astype(np.int64))
