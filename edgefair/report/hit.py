"""In words: whom it hits that two devices decide differently."""

from __future__ import annotations

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
