"""Targets and devices as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from edgefair.targets import TargetProfile


def render_targets(targets: Sequence[tuple[TargetProfile, str | None]]) -> Table:
    """One line per profile, with what it lacks on this machine, if anything."""
    table = Table(box=None, pad_edge=False)
    for column in ("target", "about", "on this machine"):
        table.add_column(column, overflow="fold")
    for profile, lacks in targets:
        ready = "ready" if profile.ssh is None else "not asked: `edgefair target probe` does"
        table.add_row(Text(profile.name), Text(profile.about), Text(ready if lacks is None else lacks))
    return table


def render_device(device: Mapping[str, Any]) -> Table:
    """The fingerprint, one fact a line."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in device.items():
        table.add_row(name, Text(" ".join(value) if isinstance(value, list) else str(value)))
    return table
