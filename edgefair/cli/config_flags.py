"""Flags of config keys: names, choices, ranges, defaults and help are those of the config's models."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

import click
from pydantic import BaseModel

from edgefair.cli.options import Number
from edgefair.flag import Flag

# Units at the end of a key, which are what its flag's value is called.
UNITS = ("ms", "mb", "bytes")
Decorator = Callable[[Any], Any]


class KeyOption(click.Option):
    """A flag; `bare` is its value where it stands alone."""

    def __init__(self, *args: Any, bare: str | None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.bare = bare

    def spelled_out(self, then: str) -> str | None:
        """The flag with its value, where what follows it is none."""
        alone = self.bare is not None and isinstance(self.type, click.Choice) and then not in self.type.choices
        return f"{self.opts[0]}={self.bare}" if alone else None


class KeyCommand(click.Command):
    """Lets an argument follow a flag whose value may be left out, as in `--int8 MODEL`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Spell out bare flags."""
        options = {item.opts[0]: item for item in self.params if isinstance(item, KeyOption)}
        pairs = zip(args, [*args[1:], ""], strict=True)
        spelled = [options[item].spelled_out(then) or item if item in options else item for item, then in pairs]
        return super().parse_args(ctx, spelled)


def section_flags(model: type[BaseModel], section: str) -> list[Decorator]:
    """Decorators: a flag for every key of a section, and of the sections in it, that has a `Flag`; in their order.

    The values arrive as `section__key` arguments, see `options.overrides`.
    """
    keys = list(_keys(model, section))
    names = {key: _name(owner, key) for owner, key, _ in keys}
    return [key_flag(owner, f"{inside}__{key}", names=names) for owner, key, inside in keys]


def key_flag(
    model: type[BaseModel],
    key: str,
    *,
    text: str | None = None,
    ranges: bool = True,
    names: Mapping[str, str] | None = None,
) -> Decorator:
    """A decorator: the flag of one key.

    Args:
        model: the section that has the key.
        key: with the sections before it, as `compress__int8`.
        text: help, instead of the key's description.
        ranges: whether the flag refuses a number out of range; else the config does, and says whether a flag or the
            file is to blame.
        names: flags of the keys that the description may name.
    """
    own = key.rpartition("__")[2]
    default, flag, name = model.model_fields[own].default, _flag(model, own), _name(model, own)
    node = _schema(model)[own]
    text = re.sub(r"`(\w+)`", lambda word: (names or {}).get(word[1], word[0]), text or node["description"])
    if flag.shows_default:
        text += f"  [default: {name if default is True else default}]"
    if flag.bare is not None:
        text += f"  [alone: {flag.bare}]"
    switch, values = _values([item for item in node.get("anyOf", [node]) if item.get("type") != "null"], ranges=ranges)
    unit = own.rpartition("_")[2]
    return click.option(
        f"{name}/--no-{name[2:]}" if switch else name,
        key,
        cls=KeyOption,
        default=None,
        metavar=flag.metavar or (unit.upper() if unit in UNITS else None),
        bare=flag.bare,
        help=text,
        **values,
    )


def _keys(model: type[BaseModel], section: str) -> Iterator[tuple[type[BaseModel], str, str]]:
    """Every key with a `Flag`: the model that has it, its name and its section."""
    for key, field in model.model_fields.items():
        if any(isinstance(item, Flag) for item in field.metadata):
            yield model, key, section
        for inner in (field.annotation, *get_args(field.annotation)):
            if _is_section(inner):
                yield from _keys(inner, f"{section}__{key}")


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _flag(model: type[BaseModel], key: str) -> Flag:
    return next((item for item in model.model_fields[key].metadata if isinstance(item, Flag)), Flag())


def _name(model: type[BaseModel], key: str) -> str:
    stem, _, unit = key.rpartition("_")
    return f"--{_flag(model, key).name or (stem if unit in UNITS else key).replace('_', '-')}"


@functools.cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema of every key."""
    properties: dict[str, Any] = model.model_json_schema()["properties"]
    return properties


def _values(kinds: Sequence[Mapping[str, Any]], *, ranges: bool) -> tuple[bool, dict[str, Any]]:
    """Whether a flag is a switch, and how click reads its value, from the JSON Schemas of what it may be."""
    if len(kinds) > 1:
        return False, {"callback": _number_or_word}
    (kind,) = kinds
    above, below = kind.get("exclusiveMinimum"), kind.get("exclusiveMaximum")
    low, high = kind.get("minimum", above), kind.get("maximum", below)
    match kind:
        case {"enum": words}:
            return False, {"type": click.Choice(words)}
        case {"type": "boolean"}:
            return True, {}
        case {"type": "array"}:
            return False, {"multiple": True, "callback": lambda _ctx, _option, value: list(value) or None}
        case {"type": "integer" | "number"} if not ranges:
            return False, {"type": int if kind["type"] == "integer" else float}
        case {"type": "integer"}:
            return False, {"type": click.IntRange(low, high)}
        case {"type": "number"}:
            return False, {"type": Number(low, high, min_open=above is not None, max_open=below is not None)}
        case _:
            return False, {}


def _number_or_word(_ctx: click.Context, _option: click.Parameter, value: str | None) -> str | float | None:
    try:
        return value if value is None else float(value)
    except ValueError:
        return value
