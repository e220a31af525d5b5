"""The sets that are drawn rather than read: their knobs, and the tables that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgefair.data.files.table import Table
from edgefair.data.images.glyph_set import glyph_table
from edgefair.data.images.glyphs import GlyphConfig
from edgefair.data.images.peep_set import peep_table
from edgefair.data.images.peeps import PeepsConfig

Knobs = GlyphConfig | PeepsConfig


@dataclass(frozen=True)
class Generated:
    """A set that is drawn.

    Attributes:
        knobs: its options, the section of `data:` that has the set's name.
        table: its rows, from the knobs.
    """

    knobs: type[Knobs]
    table: Callable[[Any], Table]


GENERATED: Mapping[str, Generated] = {
    "glyphs": Generated(GlyphConfig, glyph_table),
    "peeps": Generated(PeepsConfig, peep_table),
}
