"""Formats of results by name, one file each. The table (`names`) is data: listing it imports nothing.

A new format is a file with a class that satisfies `base.Format`, and its line in the table.
"""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING

from edgefair.report.formats.names import FORMATS

if TYPE_CHECKING:
    from edgefair.report.formats.base import Format

__all__ = ["FORMATS", "open_format"]


def open_format(name: str) -> Format:
    """The format of this name, which is one of `FORMATS`."""
    made: Format = pkgutil.resolve_name(FORMATS[name].home)()
    return made
