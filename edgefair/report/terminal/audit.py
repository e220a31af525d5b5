"""The state of a sealed audit set as a person reads it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from edgefair.report.results.audit import AuditStatus


def render(status: AuditStatus) -> RenderableType:
    """A few lines."""
    return Group(
        _headline(status),
        f"audit    {status.source}: {status.rows:,} rows (digest {status.fingerprint[:12]})",
        f"account  {status.account}, last line {status.head[:16]}",
        f"verdicts {status.asked} so far on these rows, or on sets that hold some of them",
        _next(status),
    )


def _headline(status: AuditStatus) -> Text:
    if status.opened is not None:
        return Text(f"OPENED: {status.opened}", style="bold yellow")
    if status.policy == "sealed" or status.asked:
        return Text("SEALED", style="bold green")
    return Text("NOT SEALED (policy.audit: open)", style="bold")


def _next(status: AuditStatus) -> str:
    if status.opened is not None:
        return "next     none: no sealed verdict rests on rows whose seal was opened"
    if status.next_level is None:
        return f"next     none: alpha {status.alpha:g} is spent, every further verdict is INCONCLUSIVE"
    number = status.asked + 1
    return f"next     verdict {number}, at level {status.next_level:.3g} ({status.alpha:g} / ({number} x {number + 1}))"
