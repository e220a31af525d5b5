"""Which comparison a waiver names: one, or none is let through."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from edgefair.errors import PolicyError

Place = TypeVar("Place")
# A comparison by a name that people write, or by names of which one is its own.
Wanted = str | tuple[str, ...]


def named(wanted: frozenset[Wanted], comparisons: Iterable[tuple[str, Place]]) -> list[Place]:
    """Places of the comparisons that are named: as reports print them, or in a text without escapes if one fits alone.

    Args:
        comparisons: name and place of each; no name twice.

    Raises:
        PolicyError: a name that is none of the comparisons, or may be several.
    """
    texts = {item for item in wanted if isinstance(item, str)}
    fitting: dict[Wanted, dict[str, Place]] = {item: {} for item in wanted}
    for own, place in comparisons:
        for item in ({own, _unescaped(own), _unescaped(_unescaped(own))} & texts) | (wanted - texts):
            if isinstance(item, str) or own in item:
                fitting[item][own] = place
    return [_one(item if isinstance(item, str) else item[0], fitting[item]) for item in sorted(wanted, key=str)]


def _unescaped(name: str) -> str:
    """A name without its escapes: what several comparisons may share. A joint group is escaped in itself, too."""
    return re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL)


def _one(name: str, fitting: dict[str, Place]) -> Place:
    if name in fitting:
        return fitting[name]
    if len(fitting) == 1:
        return next(iter(fitting.values()))
    if not fitting:
        raise PolicyError(
            f"a waiver names '{name}', which is not a comparison of this policy",
            expected="a name as reports print it, for example 'sex: TPR, Female / Male', groups in the policy's order",
        )
    raise PolicyError(
        f"a waiver names '{name}', which may be {len(fitting)} comparisons, and it lets one through",
        expected=" or ".join(f"'{item}'" for item in sorted(fitting)),
        fix="write the one you mean as reports print it, backslashes included",
    )
