"""An installation, as a person reads it: what works here, and what to do for what does not."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table

from edgefair.report.results.installation import Extra, Installation, Package
from edgefair.report.terminal.tables import plain_table
from edgefair.report.terminal.targets import render as render_targets


def render(found: Installation) -> Group:
    """The versions in a line, a table of extras and one of targets."""
    head = f"edgefair {found.version}, Python {found.python}, {found.system}, {found.cores} processors"
    return Group(head, "", _extras(found.extras), "", render_targets(found.targets))


def _extras(extras: tuple[Extra, ...]) -> Table:
    table = plain_table()
    for column in ("extra", "here", "to get it"):
        table.add_column(column, overflow="fold")
    for extra in extras:
        lacking = ", ".join(map(_said, extra.lacking))
        table.add_row(extra.name or "(base)", lacking or "ready", extra.fix if lacking else "")
    return table


def _said(package: Package) -> str:
    if package.installed is None:
        return f"no {package.name}"
    return f"{package.name} {package.installed}, wanted {package.wanted}"
