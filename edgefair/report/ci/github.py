"""GitHub Actions: a step summary, annotations and outputs.

https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from edgefair.report.formats import open_format
from edgefair.report.formats.base import Item
from edgefair.report.results.failure import Failure


@dataclass(frozen=True)
class GitHubActions:
    """A runner, by its variables."""

    variables: Mapping[str, str]

    def write(self, item: Item, log: TextIO, *, saved: Path | None) -> None:
        """Annotations go to the log, which is read for commands; summary and outputs to the files for them.

        Raises:
            OSError: one of the files cannot be written.
        """
        open_format("github").write([item], log)
        summary, outputs = (self._file(name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"))
        if summary is not None:
            from edgefair.report.formats.markdown import MOST_BYTES, within

            text = io.StringIO()
            open_format("markdown").write([item], text)
            # A summary that is too long is refused whole, with what other commands of the step wrote.
            room = MOST_BYTES - (summary.stat().st_size if summary.exists() else 0)
            with summary.open("a", encoding="utf-8") as stream:
                stream.write(within(text.getvalue(), room))
        if outputs is not None:
            with outputs.open("a", encoding="utf-8", errors="surrogateescape") as stream:
                stream.writelines(_output(name, value) for name, value in _outputs(item, saved))

    def _file(self, name: str) -> Path | None:
        return Path(self.variables[name]) if self.variables.get(name) else None


def _outputs(item: Item, saved: Path | None) -> Iterator[tuple[str, str]]:
    result = item.result
    if isinstance(result, Failure):
        yield from (("outcome", "ERROR"), ("exit_code", str(result.exit_code)))
        return
    yield from (("outcome", str(item.report.outcome)), ("exit_code", str(item.report.exit_code)))
    if saved is not None:
        yield "report", str(saved)


def _output(name: str, value: str) -> str:
    """An output whose value ends where it ends, whatever is in it."""
    end = f"edgefair-{secrets.token_hex(16)}"
    return f"{name}<<{end}\n{value}\n{end}\n"
