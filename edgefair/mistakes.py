"""The first mistake in what a person has written, as pydantic found it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

UNKNOWN, MISSING = "extra_forbidden", "missing"


@dataclass(frozen=True)
class Mistake:
    """A value that cannot be.

    Attributes:
        place: the keys that lead to it; empty where several keys contradict.
        kind: pydantic's name of the rule that it breaks, as `UNKNOWN` (a key that there is none of) or `MISSING`.
        why: in words.
        found: the value.
    """

    place: tuple[str, ...]
    kind: str
    why: str
    found: Any

    @property
    def key(self) -> str:
        """The place in one word, as `policy.alpha`."""
        return ".".join(self.place)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.key, self.why) if part)


def first_mistake(error: ValidationError, *, unknown_first: bool = False) -> Mistake:
    """The first mistake.

    Args:
        unknown_first: whether unknown keys come first: a key that is misspelt is also one that is missing.
    """
    found = error.errors(include_url=False)
    first = min(found, key=lambda item: item["type"] != UNKNOWN) if unknown_first else found[0]
    place = tuple(str(part) for part in first["loc"])
    return Mistake(place, first["type"], first["msg"].removeprefix("Value error, "), first.get("input"))
