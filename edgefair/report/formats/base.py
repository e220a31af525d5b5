"""What a format of results is."""

from __future__ import annotations

from typing import Protocol, TextIO

from edgefair.report.results.base import Result


class Format(Protocol):
    """One way to write a result down."""

    def write(self, result: Result, stream: TextIO) -> None:
        """Write the whole result, with a line break at its end."""
        ...
