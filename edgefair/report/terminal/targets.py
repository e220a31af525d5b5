"""Targets and devices as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from edgefair.report.terminal.tables import plain_table
from edgefair.targets import TargetProfile, transport_of
from edgefair.targets.sections import Budgets
from edgefair.targets.transports.base import HERE


def render_targets(targets: Sequence[tuple[TargetProfile, str | None]]) -> Table:
    """One line per profile, with its budgets, and what it lacks on this machine, if anything."""
    table = plain_table()
    for column in ("target", "about", "budgets", "on this machine"):
        table.add_column(column, overflow="fold")
    for profile, lacks in targets:
        here = transport_of(profile).machine_key == HERE
        ready = "ready" if here else "not asked: `edgefair target probe` does"
        cells = (profile.name, profile.about, _budgets(profile.budgets), ready if lacks is None else lacks)
        table.add_row(*cells)
    return table


def _budgets(budgets: Budgets) -> str:
    latency, size = budgets.max_latency_p90_ms, budgets.max_size_bytes
    parts = [
        "" if latency is None else f"p90 {latency:,} ms",
        "" if size is None else f"{size:,} bytes",
    ]
    return ", ".join(part for part in parts if part) or "none"


def render_device(device: Mapping[str, Any]) -> Table:
    """The fingerprint, one fact a line."""
    table = plain_table(show_header=False)
    for name, value in device.items():
        table.add_row(name, _fact(value))
    return table


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return " ".join(value) if isinstance(value, list) else str(value)
