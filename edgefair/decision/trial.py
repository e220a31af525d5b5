"""When a gate counts as kept on validation rows, of which there are few and which many trials look at.

A search judges models before the audit does. Pure, as a verdict is: equal gates give equal answers.
"""

from __future__ import annotations

from statistics import NormalDist

from edgefair.decision.verdict import Gate, Outcome
from edgefair.probe.bundles.gates import AT_LEAST

# Shortfalls are relative to the threshold; to this where it is smaller, and never less than the other.
LEAST_THRESHOLD, LEAST_SHORTFALL = 1e-3, 1e-6


def limit_stretch(alpha: float, trials: int) -> float:
    """How much farther from its estimate the limit of a trial must lie than the policy's.

    z(1 - alpha / trials) / z(1 - alpha), z the quantile of a normal distribution. The best of many trials on the same
    rows looks better than it is: with limits at alpha / trials the chance that any of them passes wrongly is at most
    alpha (Bonferroni), whatever they have in common.

    Args:
        trials: most that a search may make. The recipe is none of them: nobody picked it among others.
    """
    normal = NormalDist()
    return normal.inv_cdf(1 - alpha / trials) / normal.inv_cdf(1 - alpha)


def is_kept(
    gate: Gate, reference: Gate | None, *, aim: float, stretch: float = 1.0, recorded: float | None = None
) -> bool:
    """Whether a gate of a trial is taken as kept: it passes, or these rows cannot tell and the estimate is good.

    estimate + stretch (upper - estimate) <= threshold, or estimate <= share * threshold. The share is `aim`, as few
    rows stand for the many of the audit; 1 where they cannot tell of the model before compression either, of which
    nobody can ask more. A gate that wants a large number is kept where estimate >= threshold. What fails is not kept;
    what could not be measured (a latency in an emulator, a cell without rows) is, as no trial can fix it.

    Args:
        gate: of the trial.
        reference: the same gate of the model before compression; None where this is that model.
        aim: share of a threshold that an estimate shall keep.
        stretch: see `limit_stretch`; 1 for the recipe, whose gate is kept where it passes by the policy's own rule.
        recorded: the threshold of estimates, where the policy declares error rates (`corrections.recorded_threshold`);
            default: the gate's own.
    """
    if gate.outcome is Outcome.FAIL:
        return False
    if gate.outcome is Outcome.PASS and (stretch <= 1.0 or _beyond(gate, stretch) <= 0.0):
        return True
    if gate.estimate is None or gate.threshold is None:
        return True
    threshold = gate.threshold if recorded is None else recorded
    if gate.direction == AT_LEAST:
        return gate.estimate >= threshold
    share = 1.0 if reference is not None and reference.outcome is Outcome.INCONCLUSIVE else aim
    return gate.estimate <= share * threshold


def shortfall(gate: Gate, *, stretch: float = 1.0) -> float:
    """How far a gate that is not kept is from being kept: 1 where nothing was measured, else more than 0.

    (estimate + stretch (upper - estimate) - threshold) / threshold; (threshold - lower) / threshold where the number
    shall be large. The limits are those that decide in `is_kept`: so of two trials that pass by the policy's limits
    only, one is nearer.
    """
    if gate.estimate is None or gate.threshold is None:
        return 1.0
    return max(_beyond(gate, stretch) / max(gate.threshold, LEAST_THRESHOLD), LEAST_SHORTFALL)


def _beyond(gate: Gate, stretch: float) -> float:
    """How far the limit that decides lies beyond the threshold, in the gate's unit; not above 0 where there is none."""
    if gate.estimate is None or gate.threshold is None:
        return 0.0
    if gate.direction == AT_LEAST:
        return gate.threshold - (gate.estimate if gate.lower is None else gate.lower)
    limit = gate.estimate if gate.upper is None else gate.upper
    return gate.estimate + stretch * (limit - gate.estimate) - gate.threshold
