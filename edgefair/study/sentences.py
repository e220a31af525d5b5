"""Findings in sentences with their numbers, which never say more than the seeds can carry.

| what the seeds show | what is said behind the estimate and its interval |
|---|---|
| a run that is not complete | no claim: whoever looks early and often finds what is not there |
| fewer than six seeds | no claim at 2 points |
| holds after Holm, and in the sign-flip check | an effect, with its p; and its bound, where it is below delta |
| two one-sided tests inside +-delta | no effect larger than x |
| neither | no claim at 2 points, and the smallest effect that these seeds can see |
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgefair.study.contrasts import CLAIM_SEEDS, Estimate
from edgefair.study.power import EFFECT
from edgefair.study.table import RESPONSES, Response

# The last digit that is shown: no smaller effect is ever said to be excluded, or visible.
STEP = 0.1
UNFINISHED = "no claim before the whole study has run"


def sentence(estimate: Estimate, *, delta: float = EFFECT, complete: bool = True) -> str:
    """One finding, as "int8 minus dense: gap +0.0 +- 0.1 points: no effect larger than 0.3 points.".

    Args:
        estimate: of one contrast of one response.
        delta: the effect that is asked about, a share of 1; a response in another unit has no such question.
        complete: whether all cells of the study were run.
    """
    response = RESPONSES[estimate.response]
    notes = [*([] if estimate.contrast.planned else ["exploratory"]), *_left_out(estimate)]
    end = f" ({'; '.join(notes)})." if notes else "."
    start = f"{estimate.contrast.name}: {response.words} "
    if estimate.mean is None:
        return f"{start}has no number{end}"
    value = f"{_rounded(estimate.mean, response):+.1f}"
    claim = _claim(estimate, response, delta) if complete else UNFINISHED
    if estimate.lower is None or estimate.upper is None:
        alone = f"{value} {response.unit} in one seed, which has no interval"
        return f"{start}{alone}: {claim}{end}"
    half = _up((estimate.upper - estimate.lower) / 2, response, least=0.0)
    return f"{start}{value} +- {half:.1f} {response.unit}: {claim}{end}"


def sentences(estimates: Sequence[Estimate], *, delta: float = EFFECT, complete: bool = True) -> tuple[str, ...]:
    """All findings in their order: none is left out because it shows nothing."""
    return tuple(sentence(item, delta=delta, complete=complete) for item in estimates)


def _claim(estimate: Estimate, response: Response, delta: float) -> str:
    asked = response.is_share
    small = asked and estimate.no_larger_than(delta)
    bound = f"{_up(estimate.bound or 0.0, response):.1f} {response.unit}"
    if estimate.found and estimate.p_holm is not None:
        checked = "" if estimate.p_signflip is None else f", sign flips {_p(estimate.p_signflip)}"
        # A finding that was sought after the run was corrected for those that were shown, not for those that were seen.
        what = "an effect" if estimate.contrast.planned else "a candidate to be tested on fresh seeds"
        return f"{what} ({_p(estimate.p_holm)} after Holm{checked})" + (f", no larger than {bound}" if small else "")
    return f"no effect larger than {bound}" if small else _none(estimate, response, delta)


def _none(estimate: Estimate, response: Response, delta: float) -> str:
    at = f" at {delta * response.scale:g} {response.unit}" if response.is_share else ""
    seeds = f"{estimate.seeds} seed{'' if estimate.seeds == 1 else 's'}"
    if not estimate.can_claim:
        return f"no claim{at}, {seeds} of the {CLAIM_SEEDS} that one needs"
    if estimate.visible is None:
        return f"no claim{at}"
    return f"no claim{at}, {seeds} can see {_up(estimate.visible, response):.1f} {response.unit}"


def _left_out(estimate: Estimate) -> list[str]:
    out = [(estimate.differences.collapsed, "collapsed"), (estimate.differences.missing, "without a number")]
    return [f"{len(seeds)} seed{'s' * (len(seeds) > 1)} left out: {why}" for seeds, why in out if seeds]


def _rounded(value: float, response: Response) -> float:
    """In the unit that is shown; never a negative zero."""
    return round(value * response.scale, 1) + 0.0


def _up(value: float, response: Response, *, least: float = STEP) -> float:
    """In the unit that is shown, rounded up: a bound that is rounded down says too much."""
    return max(least, math.ceil(round(value * response.scale / STEP, 6)) * STEP)


def _p(p: float) -> str:
    return f"p {p:.3f}" if p >= 0.001 else "p < 0.001"
