"""In words: whom it hits that two devices decide differently, and where in the model that begins."""

from __future__ import annotations

from collections.abc import Iterable

from edgefair.measure.disagreement import Disagreement


def group_hit(pair: Disagreement) -> str:
    """The group that is hit most, and how many of its rows."""
    most = pair.most
    if most is None:
        return ""
    return f"{most.attribute} = {most.group}: {most.differing:,} of {most.rows:,} ({most.share:.2%})"


def chance_of_hit(pair: Disagreement) -> str:
    """How likely that would be by chance, after Holm; empty where it was not tested."""
    p = None if pair.most is None else pair.most.p_holm
    return "" if p is None else f"{p:.1g}"


def beginnings(pairs: Iterable[Disagreement]) -> list[str]:
    """A sentence for every two devices of which it is known."""
    return [
        f"{pair.first} and {pair.second} begin to differ in {begins.operator} '{begins.node}'"
        + ("" if begins.weight is None else f" (weight '{begins.weight}')")
        + f": from inputs that agree, by {begins.difference:.2%} of the range of its output"
        for pair in pairs
        if (begins := pair.begins_in) is not None
    ]
