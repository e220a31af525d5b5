"""Numbers as people are shown them, and as programs read them in formats that hold text."""

from __future__ import annotations


def shown(value: float | None) -> str:
    """Four decimals for a rate (zero has no sign), whole numbers whole, `?` for what was not measured."""
    if value is None:
        return "?"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:z.4f}"


def plain(value: float) -> str:
    """Six digits, and whole numbers whole."""
    return f"{value:.0f}" if value == int(value) else f"{value:.6g}"


def between(lower: float | None, upper: float | None) -> str:
    """Limits; empty where there are none."""
    return "" if lower is None and upper is None else f"{shown(lower)} to {shown(upper)}"
