"""The set `peeps` as a table whose pictures are drawn when they are needed first, and kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import Categories, Table
from edgefair.data.hashing import text_hash
from edgefair.data.images import peep_drawing
from edgefair.data.images.decode import resized_pixels
from edgefair.data.images.drawn_file import DrawnFile
from edgefair.data.images.noise import pixel_noise
from edgefair.data.images.peeps import EXPRESSIONS, TONES, PeepRows, PeepsConfig, peep_rows
from edgefair.data.images.pictures import picture_spec
from edgefair.files import sha256_json
from edgefair.probe.onnx_files.spec import InputSpec

# What is done to a picture after it was drawn: pictures that differ in nothing else are kept once.
AFTERWARDS = {"contrast", "noise"}


@dataclass(frozen=True, eq=False)
class PeepPictures(LazyColumn):
    """Drawn people.

    Attributes:
        rows: all rows of the set.
        kept: the pictures that were drawn already, by row of the set.
        row: which rows of the set these are, int64 [rows].
        hashes: of the knobs, the packages and the row's seed, uint64 [rows].
    """

    config: PeepsConfig
    rows: PeepRows
    kept: DrawnFile
    row: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    drawing: threading.Lock
    kind: ClassVar[str] = "pictures"

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """The given rows."""
        return type(self)(self.config, self.rows, self.kept, self.row[rows], self.hashes[rows], self.drawing)

    def encoder(self, item: InputSpec) -> Callable[[int, int], NDArray[Any]]:
        """Read or draw, light, and resize where the model's size is another: uint8 [rows, height, width, channels]."""
        spec = picture_spec(item, self.kind)

        def encode(start: int, stop: int) -> NDArray[Any]:
            pixels = self._pixels(self.row[start:stop])
            if pixels.shape[1:] == (spec.height, spec.width, spec.channels):
                return pixels
            return np.stack([resized_pixels(picture, spec) for picture in pixels])

        return encode

    def _pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        size = self.config.size
        drawn = np.empty((len(rows), size, size, 3), dtype=np.uint8)
        for position, row in enumerate(rows.tolist()):
            drawn[position] = self._drawn(row)
        if self.config.contrast == 1 and not self.config.noise:
            return drawn
        light = (drawn.astype(np.float32) - np.float32(127.5)) * np.float32(self.config.contrast) + np.float32(127.5)
        light += pixel_noise(self.rows.seed[rows], size)[..., None] * np.float32(255 * self.config.noise)
        lit: NDArray[np.uint8] = (np.clip(light, 0, 255) + np.float32(0.5)).astype(np.uint8)
        return lit

    def _drawn(self, row: int) -> NDArray[np.uint8]:
        """The picture as it was drawn: uint8 [size, size, 3]."""
        size, rows = self.config.size, self.rows
        record = self.kept.read(row)
        if record is None:
            # The packages are Python that holds the interpreter anyway, and promise nothing of threads.
            with self.drawing:
                picture = peep_drawing.draw(int(rows.expression[row]), int(rows.tone[row]), int(rows.seed[row]), size)
            record = picture.tobytes()
            self.kept.write(row, record)
        return np.frombuffer(record, dtype=np.uint8).reshape(size, size, 3)


def peep_table(config: PeepsConfig) -> Table:
    """One row per picture: `picture`, `feeling` (the label), `expression`, `tone` and `split` (train, audit).

    Raises:
        UsageError: the packages that draw are not installed.
    """
    versions = peep_drawing.versions()
    rows = peep_rows(config)
    drawn = sha256_json([config.model_dump(mode="json", exclude=AFTERWARDS), versions])
    kept = DrawnFile(f"peeps-{drawn[:16]}", 3 * config.size**2)
    knobs = text_hash(f"{config.model_dump_json()} {versions}")
    pictures = PeepPictures(config, rows, kept, np.arange(len(rows.seed)), rows.seed ^ knobs, threading.Lock())
    return Table(
        {
            "picture": pictures,
            "feeling": Categories(config.labels, rows.label),
            "expression": Categories(EXPRESSIONS, rows.expression),
            "tone": Categories(tuple(TONES), rows.tone),
            "split": Categories(("train", "audit"), rows.split),
        }
    )
