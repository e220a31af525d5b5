"""What is wrong with a device."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Something that the device is, has or says and must not, as a message says it."""

    found: str
    expected: str | None = None
    fix: str | None = None
