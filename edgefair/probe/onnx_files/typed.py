"""JSON as frozen dataclasses, and nothing that does not fit their annotations."""

from __future__ import annotations

import sys
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, Dict, Mapping, Tuple, Type, TypeVar, Union, get_type_hints

Made = TypeVar("Made")
# One of a model's texts, or items of a list. Nothing that a model needs is larger.
LONGEST = 1 << 20


def typed(kind: Type[Made], data: Any, where: str = "it") -> Made:
    """An object of a dataclass from a JSON object with exactly its fields; those with a default may be absent.

    Annotations may be str, int, float, Optional, Tuple[X, ...] and such dataclasses.

    Raises:
        ValueError: a field missing, unknown, or of another type, a number that is not finite, or a text or a list
            beyond `LONGEST`.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} is {_shown(data)}, not an object")
    hints = _hints(kind)  # type: ignore[arg-type]
    unknown = sorted(str(name) for name in data if name not in hints)
    if unknown:
        raise ValueError(f"{where} has a field '{unknown[0]}', which is none of {', '.join(hints)}")
    made: Dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in data:
            made[field.name] = _value(hints[field.name], data[field.name], f"{where}.{field.name}")
        elif field.default is MISSING:
            raise ValueError(f"{where} has no field '{field.name}'")
    return kind(**made)


@lru_cache(maxsize=None)
def _hints(kind: Type[Any]) -> Dict[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, value: Any, where: str) -> Any:
    origin: Any = getattr(hint, "__origin__", None)
    arguments: Tuple[Any, ...] = getattr(hint, "__args__", ())
    if origin is Union:
        return None if value is None else _value(arguments[0], value, where)
    if origin is tuple:
        return _items(arguments, value, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return typed(hint, value, where)
    if hint is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return float(value)
    if type(value) is not hint or hint is float or (hint is str and len(value) > LONGEST):
        raise ValueError(f"{where} is {_shown(value)}, not {'a finite number' if hint is float else hint.__name__}")
    return value


def _items(arguments: Tuple[Any, ...], value: Any, where: str) -> Tuple[Any, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > LONGEST:
        raise ValueError(f"{where} is {_shown(value)}, not a list")
    return tuple(_value(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
