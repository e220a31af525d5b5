"""One spelling of a date or moment, whoever wrote it: 2024-01-31, 2024-01-31 10:30:00, 2024-01-31 09:30:00Z."""

from __future__ import annotations

import datetime
import re
from typing import Optional

_SHORTEST = len("1.1.2024")
_CLOCK = r"(?P<h>\d{1,2}):(?P<min>\d{2})(?::(?P<s>\d{2})(?:\.(?P<part>\d{1,9}))?)?"
_TIME = rf"(?:[T ]{_CLOCK} ?(?P<zone>Z|[+-]\d{{2}}:?\d{{2}})?)?"
_YEAR_FIRST = re.compile(r"(?P<y>\d{4})(?P<sep>[-/])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})" + _TIME, re.ASCII)
# With dots the day comes first wherever such dates are written.
_DOTS = re.compile(r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})" + _TIME, re.ASCII)
# Day first in Europe, month first in the USA.
_UNCLEAR = re.compile(r"(\d{1,2})([-/])(\d{1,2})\2(\d{4})((?:[T ]\d{1,2}:\d{2}.*)?)", re.ASCII)


def plain_date(text: str) -> Optional[str]:
    """The one spelling of a date or moment; None for any other text.

    A midnight without a zone is its date, seconds have no zeros behind them, and a moment with a zone is told in UTC.
    """
    if len(text) < _SHORTEST or not text[0].isdigit():
        return None
    found = _YEAR_FIRST.fullmatch(text) or _DOTS.fullmatch(text)
    if found is None:
        return None
    fields = (int(found[name] or 0) for name in ("y", "m", "d", "h", "min", "s"))
    try:
        moment = datetime.datetime(*fields)  # type: ignore[arg-type]
        if found["zone"]:
            moment -= _ahead(found["zone"])
    except (ValueError, OverflowError):
        return None
    part = (found["part"] or "").rstrip("0")
    said = moment.isoformat(" ") + ("." + part if part else "") + ("Z" if found["zone"] else "")
    return said[: -len(" 00:00:00")] if said.endswith(" 00:00:00") else said


def is_unclear_date(text: str) -> bool:
    """Whether a text is a date whose order of day and month is ambiguous, as 01/02/2024."""
    found = _UNCLEAR.fullmatch(text)
    if found is None:
        return False
    low, high = sorted((int(found[1]), int(found[3])))
    return 1 <= low <= 12 and high <= 31


def year_first(text: str, day_first: bool) -> Optional[str]:
    """The one spelling of 01/02/2024, by what it begins with; None for a text that is no such date."""
    found = _UNCLEAR.fullmatch(text)
    if found is None:
        return None
    day, month = (found[1], found[3]) if day_first else (found[3], found[1])
    return plain_date(f"{found[4]}-{month}-{day}{found[5]}")


def _ahead(zone: str) -> datetime.timedelta:
    """How much a zone (`Z`, `+0100`, `-05:30`) is ahead of UTC."""
    if zone == "Z":
        return datetime.timedelta(0)
    ahead = datetime.timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return -ahead if zone[0] == "-" else ahead
