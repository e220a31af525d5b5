"""The synthetic set `glyphs` as a table whose pictures are drawn when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import Categories, Table
from edgefair.data.hashing import text_hash
from edgefair.data.images.decode import resized_pixels
from edgefair.data.images.glyphs import GlyphConfig, draw, glyph_rows
from edgefair.data.images.pictures import picture_spec
from edgefair.probe.onnx_files.spec import InputSpec


@dataclass(frozen=True, eq=False)
class GlyphPictures(LazyColumn):
    """Generated pictures: a row is drawn from its shape, group and seed, each an array [rows].

    Attributes:
        hashes: of the knobs and the row's seed, uint64 [rows]: equal pictures have equal seeds.
    """

    config: GlyphConfig
    shape: NDArray[Any]
    group: NDArray[Any]
    seed: NDArray[np.uint64]
    hashes: NDArray[np.uint64]
    kind: ClassVar[str] = "pictures"

    def __len__(self) -> int:
        return len(self.seed)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """The given rows."""
        return type(self)(self.config, self.shape[rows], self.group[rows], self.seed[rows], self.hashes[rows])

    def encoder(self, item: InputSpec) -> Callable[[int, int], NDArray[Any]]:
        """Draw, and resize where the model's size is another: uint8 [rows, height, width, channels]."""
        spec = picture_spec(item, self.kind)

        def encode(start: int, stop: int) -> NDArray[Any]:
            pixels = draw(self.config, self.shape[start:stop], self.group[start:stop], self.seed[start:stop])
            if pixels.shape[1:] == (spec.height, spec.width, spec.channels):
                return pixels
            return np.stack([resized_pixels(picture, spec) for picture in pixels])

        return encode


def glyph_table(config: GlyphConfig) -> Table:
    """One row per picture: `picture`, `shape` (the label as it is observed), `group` and `split` (train, audit)."""
    rows = glyph_rows(config)
    knobs = text_hash(config.model_dump_json())
    pictures = GlyphPictures(config, rows.shape, rows.group, rows.seed, rows.seed ^ knobs)
    return Table(
        {
            "picture": pictures,
            "shape": Categories(config.labels, rows.label.astype(np.int32)),
            "group": Categories(config.groups, rows.group.astype(np.int32)),
            "split": Categories(("train", "audit"), rows.split.astype(np.int32)),
        }
    )
