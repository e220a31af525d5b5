"""The comparison that decided, in the words of somebody who has never heard of a true positive rate."""

from __future__ import annotations

from collections.abc import Sequence

from edgefair.decision.cells import compared, measures
from edgefair.decision.verdict import Code, Comparison, Outcome

# Why a comparison has its outcome, where it is not rows that are lacking.
WHY = {
    Code.WITHIN: "shown to be within the threshold",
    Code.BEYOND: "shown to exceed the threshold",
    Code.ESTIMATE_BEYOND: "the estimate exceeds the threshold, but that is not shown",
    Code.TOO_UNCERTAIN: "the estimate is within the threshold, but that is not shown",
    Code.TOO_FEW: "too few rows to judge it",
    Code.UNDEFINED_CELL: "a group has no row with this label",
}


def why_of(found: Comparison) -> str:
    """Why the comparison has its outcome: its own words, or those of its code."""
    said = found.reason or WHY[found.code]
    return f"{said}; waived" if found.waived else said


def in_words(found: Comparison, classes: Sequence[str]) -> str:
    """What happens to whom, how far apart that is, and what is allowed; empty where that is not the whole reason.

    It is not where two audits were joined, where the limits were corrected for recording errors, where a waiver or an
    estimate decided, where rows are lacking, and of changes by compression.

    Args:
        classes: of the model; of two the second one is positive.
    """
    decided = {
        name: (label, classes[decision])
        for label, names in zip(classes, measures(classes), strict=True)
        for decision, name in zip(compared(classes), names, strict=True)
    }.get(found.measure)
    shown = _shown(found)
    if decided is None or not shown or found.rate_a is None or found.rate_b is None:
        return ""
    (low, fewer), (high, more) = sorted([(found.rate_a, found.group_a), (found.rate_b, found.group_b)])
    label, decision = decided
    return (
        f"Of those whose label is '{label}', {low:.1%} are decided '{decision}' where {found.attribute} is '{fewer}', "
        f"and {high:.1%} where it is '{more}': {_points(high - low)} points apart. {shown}"
    )


def _shown(found: Comparison) -> str:
    """What the limits show of the difference; empty where they are not what decided."""
    if found.lower is None or found.upper is None or found.waived:
        return ""
    if found.joined is not None or found.corrected_threshold is not None:
        return ""
    allowed = f"and the policy allows {100 * found.threshold:.3g}."
    if found.outcome is Outcome.FAIL and found.lower > found.threshold:
        return f"At least {_points(found.lower)} points are shown, {allowed}"
    if found.outcome is Outcome.PASS and found.upper <= found.threshold:
        return f"At most {_points(found.upper)} points are shown, {allowed}"
    if found.outcome is Outcome.INCONCLUSIVE and found.code in {Code.TOO_UNCERTAIN, Code.ESTIMATE_BEYOND}:
        return f"These rows show only that it is {_points(found.lower)} to {_points(found.upper)} points, {allowed}"
    return ""


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
