"""Rows that could not be read: counted and reported, never lost in silence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Skipped:
    """Rows (or files) that were left out for one reason.

    Attributes:
        reason: what is wrong with them, in a few words ("the name lacks a field").
        count: how many there are.
        examples: up to three of them, as the user knows them (paths, names).
        were_rows: False for files that nothing ever labelled: they do not count against the share that may be skipped.
    """

    reason: str
    count: int
    examples: tuple[str, ...]
    were_rows: bool = True

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.examples) else ""
        return f"{self.count:,} {self.reason} ({', '.join(self.examples)}{more})"
