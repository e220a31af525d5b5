"""What day and what time it is, in UTC."""

from __future__ import annotations

import datetime


def today() -> datetime.date:
    """The day on which waivers must still hold, UTC."""
    return datetime.datetime.now(datetime.UTC).date()


def now() -> str:
    """The moment, UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
