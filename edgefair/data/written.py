"""Values that a person wrote in YAML, in the spelling that columns are read in."""

from __future__ import annotations

import datetime
from typing import Any

from edgefair.probe.features import plain_text, value_text


def name_of(value: Any) -> Any:
    """A column that YAML takes for a number or a boolean, as the text of its name."""
    return str(value) if isinstance(value, bool | int | float) else value


def text(value: Any) -> Any:
    """A number, a boolean, a date or a text of YAML in the spelling that values of columns are read in."""
    if isinstance(value, str | bool | int | float | datetime.date):
        return plain_text(value_text(value) or "")
    return value


def texts(value: Any) -> Any:
    """One value or several -> the texts."""
    return tuple(text(item) for item in value) if isinstance(value, list | tuple) else text(value)


def as_list(value: Any) -> Any:
    """One text -> a list of it."""
    return (value,) if isinstance(value, str) else value


def value_lists(value: Any) -> Any:
    """Column -> one value or several -> column -> the texts."""
    return {name_of(k): as_list(texts(v)) for k, v in value.items()} if isinstance(value, dict) else value


def merged_values(value: Any) -> Any:
    """New value -> one old value or several -> the texts."""
    return {text(k): as_list(texts(v)) for k, v in value.items()} if isinstance(value, dict) else value
