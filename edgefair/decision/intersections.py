"""The groups that a policy declares, as tuples of values: one value per attribute."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from edgefair.errors import did_you_mean
from edgefair.joint import SEPARATOR, Group, join, split
from edgefair.probe.features import plain_text

# Combinations that a message names.
NAMED = 20


def declared_groups(name: str, listed: Sequence[str] | None, values: Sequence[Sequence[str]]) -> tuple[Group, ...]:
    """The groups of an entry of `policy.attributes`.

    Args:
        name: of the entry, for messages.
        listed: its groups as the policy lists them; None for all combinations.
        values: groups of every attribute of the entry.

    Raises:
        ValueError: a joint group that is not a combination, may be several, or is listed twice.
    """
    if listed is None:
        return tuple(itertools.product(*values))
    if len(values) == 1:
        return tuple((group,) for group in listed)
    known = [frozenset(item) for item in values]
    found = tuple(_resolved(name, text, values, known) for text in listed)
    if len(set(found)) != len(found):
        raise ValueError(f"intersection '{name}' lists a group twice, in two spellings")
    return found


def _resolved(name: str, text: str, values: Sequence[Sequence[str]], known: Sequence[frozenset[str]]) -> Group:
    """The combination that a text names: written with escapes, or without where only one looks so."""

    def declared(group: Group) -> bool:
        return len(group) == len(known) and all(map(frozenset.__contains__, known, group))

    written = tuple(map(plain_text, split(text)))
    if declared(written):
        return written
    cuts = (tuple(map(plain_text, group)) for group in _cut(text, len(known)))
    candidates = [group for group in cuts if declared(group)]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        meant = " or ".join(f"'{join(group)}'" for group in candidates)
        raise ValueError(f"intersection '{name}': group '{text}' may be {meant}; write the one you mean")
    names = [join(group) for group in itertools.islice(itertools.product(*values), NAMED + 1)]
    shown = ", ".join([*names[:NAMED], *(["..."] if len(names) > NAMED else [])])
    raise ValueError(
        f"intersection '{name}': '{text}' is not a combination of its attributes' groups{did_you_mean(text, names)}, "
        f"which are {shown}"
    )


def _cut(text: str, parts: int) -> Iterator[Group]:
    """Every way to cut a text at separators into so many parts."""
    pieces = text.split(SEPARATOR)
    for inner in itertools.combinations(range(1, len(pieces)), parts - 1):
        cuts = (0, *inner, len(pieces))
        yield tuple(SEPARATOR.join(pieces[start:stop]) for start, stop in itertools.pairwise(cuts))
