"""Targets, and the device of one, as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from edgefair.report.results.targets import Device, Targets
from edgefair.report.terminal.tables import plain_table
from edgefair.targets import transport_of
from edgefair.targets.sections import Budgets
from edgefair.targets.transports.base import HERE


def render(result: Targets | Device) -> Table:
    """A line per target, or per fact of a device."""
    return _device(result) if isinstance(result, Device) else _targets(result)


def _targets(known: Targets) -> Table:
    """One line per profile, with its budgets, and what it lacks on this machine, if anything."""
    table = plain_table()
    for column in ("target", "about", "budgets", "on this machine"):
        table.add_column(column, overflow="fold")
    for item in known.targets:
        profile = item.profile
        here = HERE in transport_of(profile).machine_keys
        ready = "ready" if here else "not asked: `edgefair target probe` does"
        cells = (profile.name, profile.about, _budgets(profile.budgets), ready if item.lacks is None else item.lacks)
        table.add_row(*cells)
    return table


def _budgets(budgets: Budgets) -> str:
    found = {
        "p90 {:,} ms": budgets.max_latency_p90_ms,
        "{:,} bytes": budgets.max_size_bytes,
        "loading {:,} ms": budgets.max_load_ms,
        "memory {:,} MB": budgets.max_peak_memory_mb,
    }
    return ", ".join(text.format(value) for text, value in found.items() if value is not None) or "none"


def _device(device: Device) -> Table:
    """The fingerprint, one fact a line."""
    table = plain_table(show_header=False)
    for name, value in device.fingerprint.items():
        table.add_row(name, _fact(value))
    return table


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return " ".join(value) if isinstance(value, list) else str(value)
