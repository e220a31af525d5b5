"""Raw features as a caller on the device gives them: one value per row, and nothing stretched to fit."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any, List, Mapping, Optional

import numpy as np

from edgefair.probe.dates import plain_date

# Other spellings of a text: booleans as languages write them, and whole numbers as a table of fractions writes them.
_BOOLEANS = {"true": "True", "TRUE": "True", "false": "False", "FALSE": "False"}
_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0")
# Above it a float is written with an exponent.
_LARGEST_WHOLE = 1e15
_NUMBERS = (bool, int, float, Decimal, np.bool_, np.integer, np.floating)
_SINGLE = (str, datetime.date, np.datetime64, *_NUMBERS)


def is_absent(value: Any) -> bool:
    """Whether there is no value: None, NaN, NaT, pandas.NA."""
    if isinstance(value, Decimal):
        return value.is_nan()
    try:
        return value is None or bool(value != value)  # noqa: PLR0124
    except (TypeError, ValueError):
        # Of pandas.NA nothing can be said, not even that it is itself; neither can of arrays, which are no cells.
        return type(value).__name__ == "NAType"


def value_text(value: Any) -> Optional[str]:
    """The one text of a value; None where there is none, as for the empty text.

    Booleans are True and False, whole floats have no `.0`, other floats are as their own type writes them, decimals
    have all of their digits, and dates and moments are spelled as `plain_date` does.
    """
    if is_absent(value):
        return None
    if isinstance(value, (float, np.floating)) and abs(float(value)) < _LARGEST_WHOLE and float(value).is_integer():
        return str(int(value))
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (datetime.date, np.datetime64)):
        return plain_text(str(value))
    return str(value) or None


def plain_text(text: str) -> str:
    """The one spelling of a text: `true` and `TRUE` are True, `1.0` is 1, `31.01.2024` and `2024-01-31T00:00:00` are
    2024-01-31; what is not a boolean, number or date stays."""
    if text.isalnum():
        # A fraction has a dot, and a date something between its numbers.
        return _BOOLEANS.get(text, text)
    whole = _WHOLE.fullmatch(text) if text.endswith(".0") else None
    if whole is None:
        return plain_date(text) or text
    return "0" if whole[1] == "-0" else whole[1]


def column(name: str, values: Any) -> Any:
    """A feature that has rows: a list, a tuple, or an array of at least one dimension.

    Raises:
        ValueError: one value, a text or a mapping, which would stand for every row or for none.
    """
    if hasattr(values, "__array__") and np.ndim(values):
        return np.asarray(values)
    if not isinstance(values, (list, tuple)):
        raise ValueError(f"feature '{name}' is one {type(values).__name__}, not a list of one value per row")
    return values


def numbers(
    name: str, values: Any, dtype: np.dtype, ndim: Optional[int] = None, *, missing: bool = False
) -> np.ndarray:
    """A feature of numbers [rows, ...] in the type of the graph's input (C-contiguous).

    ndim: dimensions that it must have, if that is known.
    missing: whether a value may be missing (None, NaN, an empty text): NaN then.

    Raises:
        ValueError: not numbers, rows of unequal shape, or numbers that the type cannot hold: NaN, infinite, too large,
            fractions for whole numbers.
    """
    try:
        given = column(name, values)
        given = _unboxed(np.asarray(_with_nan(given) if missing else given))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"feature '{name}' is not an array of numbers: {error}") from error
    if given.dtype.kind not in "biuf":
        raise ValueError(f"feature '{name}' holds {_shown(given)}, not only numbers")
    if ndim is not None and given.ndim != ndim:
        raise ValueError(f"feature '{name}' has shape {list(given.shape)}, not {ndim} dimensions")
    with np.errstate(all="ignore"):
        taken = np.ascontiguousarray(given, dtype=dtype)
    if dtype.kind == "f" and not (np.isfinite(taken) | (np.isnan(given) if missing else False)).all():
        raise ValueError(f"feature '{name}' holds {'' if missing else 'NaN or '}an infinite number")
    if dtype.kind != "f" and not np.array_equal(taken, given):
        raise ValueError(f"feature '{name}' holds a number that is not a valid {dtype.name}")
    return taken


def _with_nan(values: Any) -> Any:
    """Values of which those that are no number are NaN where they stand for none."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return values
    return [float("nan") if item is None or (isinstance(item, str) and not item) else item for item in values]


def category_texts(name: str, values: Any) -> List[Optional[str]]:
    """A categorical feature as texts [rows], as in the audit: `value_text` of every value.

    Raises:
        ValueError: a value that is not text, a number, boolean or date.
    """
    given = column(name, values)
    found: List[Optional[str]] = []
    # numpy's own floats and moments, of which Python's have more digits than were given, or fewer.
    for item in given.tolist() if isinstance(given, np.ndarray) and given.dtype.kind not in "fM" else given:
        if not (isinstance(item, _SINGLE) or is_absent(item)):
            raise ValueError(f"feature '{name}' holds a {type(item).__name__}, not one text or number per row")
        found.append(value_text(item))
    return found


def same_length(rows: Mapping[str, int]) -> None:
    """Refuse features of unequal length; none is stretched to the length of another.

    rows: feature -> number of its rows.

    Raises:
        ValueError: two features of different lengths.
    """
    first, *others = rows.items()
    for name, count in others:
        if count != first[1]:
            raise ValueError(f"feature '{name}' has {count} rows, and '{first[0]}' has {first[1]}")


def _unboxed(given: np.ndarray) -> np.ndarray:
    """Numbers that numpy keeps as objects as float64: among them are decimals, or cells without a value (NaN)."""
    items = given.ravel().tolist() if given.dtype.kind == "O" else []
    absent = [is_absent(item) for item in items]
    if not (any(absent) or any(isinstance(item, Decimal) for item in items)):
        return given
    if not all(none or isinstance(item, _NUMBERS) for item, none in zip(items, absent)):
        return given
    found = [np.nan if none else float(item) for item, none in zip(items, absent)]
    return np.array(found, dtype=np.float64).reshape(given.shape)


def _shown(given: np.ndarray) -> str:
    wrong = [item for item in given.ravel().tolist() if type(item) not in (bool, int, float)]
    return f"a {type(wrong[0]).__name__}" if wrong else "numbers beyond every type"
