"""What a format of results is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from edgefair.errors import UsageError
from edgefair.report.changed_rows import ChangedRows
from edgefair.report.policy_lines import PolicyLines
from edgefair.report.results.base import Result
from edgefair.report.results.verification import Report


@dataclass(frozen=True)
class Item:
    """A result, and what a format may say of where it comes from.

    Attributes:
        file: that it was read from; None for one of this command.
        policy: where the config says what was judged.
        changed: rows that compression decides otherwise, where a user asked to see them; formats that are made for
            people's eyes alone show them (`names.Known.shows_rows`).
    """

    result: Result
    file: str | None = None
    policy: PolicyLines = field(default_factory=PolicyLines)
    changed: ChangedRows | None = None

    @property
    def report(self) -> Report:
        """The verification that this is.

        Raises:
            UsageError: it is another result.
        """
        if isinstance(self.result, Report):
            return self.result
        raise UsageError(f"'{self.result.schema}' holds no verdict of export or verify")

    def named(self, name: str) -> str:
        """The name, with the file before it where there is one."""
        return name if self.file is None else f"{self.file}: {name}"


class Format(Protocol):
    """One way to write results down."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write all of the results as one document, with a line break at its end.

        Args:
            items: one or more; one where the table says that the format holds no more.
        """
        ...
