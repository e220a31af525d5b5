"""Workflow commands of GitHub Actions: what shows as annotations of a pull request.

`::error file=F,line=N,title=T::text`; a step shows 10 of a kind.
https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from edgefair.report.escape import one_line
from edgefair.report.formats.base import Item
from edgefair.report.judged import NOT_SHOWN, SEALED, Status, all_judged
from edgefair.report.results.failure import Failure

MOST = 10
ERROR, WARNING = "error", "warning"


class GitHub:
    """One annotation for every gate that is not green, at the line of edgefair.yaml that asks for it."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write a line each; none where all is green."""
        lines = [line for item in items for line in _lines(item)]
        if len(lines) > MOST:
            more = f"and {len(lines) - MOST + 1} more gates that are not green; the report has all of them"
            lines = [*lines[: MOST - 1], command(ERROR, more)]
        stream.write("".join(f"{line}\n" for line in lines))


def _lines(item: Item) -> Iterator[str]:
    if isinstance(item.result, Failure):
        yield command(ERROR, " - ".join(item.result.lines), title="edgefair: no verdict")
        return
    if not item.report.targets:
        line = str(item.policy.of(NOT_SHOWN))
        title = f"edgefair: {item.report.outcome}"
        yield command(ERROR, item.named(SEALED), file=item.policy.file, line=line, title=title)
    for found in all_judged(item.report):
        if found.status is not Status.PASS:
            yield command(
                ERROR if found.blocks else WARNING,
                item.named(f"{found.target.target}: {found.sentence}"),
                file=item.policy.file,
                line=str(item.policy.of(found.gate.id)),
                title=f"edgefair: {found.title} is {found.status}",
            )


def command(name: str, message: str, **properties: str) -> str:
    """A workflow command; what is in its texts ends none and begins none."""
    said = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name}{' ' * bool(said)}{said}::{_data(message)}"


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _data(text: str) -> str:
    return one_line(text).replace("%", "%25")
