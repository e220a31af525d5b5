"""Formats of results by name, one file each. The table is data: listing it imports nothing.

A new format is a file with a class that satisfies `base.Format`, and its line in the table.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping

from edgefair.report.formats.base import Format

FORMATS: Mapping[str, str] = {
    "terminal": "edgefair.report.formats.terminal:Terminal",
    "json": "edgefair.report.formats.json:Json",
}


def open_format(name: str) -> Format:
    """The format of this name, which is one of `FORMATS`."""
    made: Format = pkgutil.resolve_name(FORMATS[name])()
    return made
