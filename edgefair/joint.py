"""Names of what has several parts, as `sex*age` or `Female*old`: no two are equal, whatever the parts contain."""

from __future__ import annotations

from collections.abc import Sequence

SEPARATOR = "*"
ESCAPE = "\\"

# One value per sensitive attribute. Groups are looked up by this, never by a name.
Group = tuple[str, ...]


def join(parts: Sequence[str], separator: str = SEPARATOR) -> str:
    r"""The parts with the separator between them; a separator or an escape inside a part is escaped: `a\*b`."""
    return separator.join(
        part.replace(ESCAPE, ESCAPE + ESCAPE).replace(separator, ESCAPE + separator) for part in parts
    )


def split(name: str, separator: str = SEPARATOR) -> tuple[str, ...]:
    """The parts of a joined name: `split(join(parts)) == parts`. An escape before any other letter is a letter."""
    parts = [""]
    letters = iter(name)
    for letter in letters:
        following = next(letters, "") if letter == ESCAPE else ""
        if following in {ESCAPE, separator}:
            parts[-1] += following
        elif following == "" and letter == separator:
            parts.append("")
        else:
            parts[-1] += letter + following
    return tuple(parts)


def group_name(group: Sequence[str]) -> str:
    """A group as policies and reports write it: the value of one attribute as it is, those of several joined."""
    return group[0] if len(group) == 1 else join(group)
