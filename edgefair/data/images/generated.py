"""The sets that are drawn rather than read: their knobs, and the tables that they make."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass

from edgefair.data.files.table import Table
from edgefair.data.images.glyphs import GlyphConfig
from edgefair.data.images.peeps import PeepsConfig

Knobs = GlyphConfig | PeepsConfig


@dataclass(frozen=True)
class Generated:
    """A set that is drawn.

    Attributes:
        knobs: its options, the section of `data:` that has the set's name.
        home: the function that makes its rows, which draws and is loaded by who needs them.
    """

    knobs: type[Knobs]
    home: str

    def table(self, knobs: Knobs) -> Table:
        """Its rows."""
        made: Table = pkgutil.resolve_name(self.home)(knobs)
        return made


GENERATED: Mapping[str, Generated] = {
    "glyphs": Generated(GlyphConfig, "edgefair.data.images.glyph_set:glyph_table"),
    "peeps": Generated(PeepsConfig, "edgefair.data.images.peep_set:peep_table"),
}
