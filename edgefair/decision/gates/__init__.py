"""The gates of a release: each turns one requirement of the policy into a judged `Gate`."""

from __future__ import annotations

from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Gate, Outcome

ABSOLUTE = "equalized-odds gap"
PAIRED = "equalized-odds increase"
COLLAPSE = "decisions vary"
FLOOR = "worst-group balanced accuracy"
GROUP_ACCURACY = "worst-group accuracy"
ACCURACY_DROP = "accuracy drop"
GROUP_DROP = "worst-group accuracy drop"
EXCESS_LOSS = "worst-group excess loss"
LATENCY = "latency p90"
SIZE = "size"

NO_REFERENCE = "no reference model was measured on the same rows; name one with --reference"


def judge_bounds(policy: Policy, estimate: float, lower: float, upper: float, threshold: float) -> Outcome:
    """A number that must be at most `threshold`: by its limits, or by itself under the point rule."""
    if policy.rule == "point":
        return Outcome.PASS if estimate <= threshold else Outcome.FAIL
    if upper <= threshold:
        return Outcome.PASS
    return Outcome.FAIL if lower > threshold else Outcome.INCONCLUSIVE


def unmeasured(name: str, unit: str, threshold: float, why: str) -> Gate:
    """A gate whose evidence is lacking."""
    return Gate(name, Outcome.INCONCLUSIVE, unit, None, None, None, threshold, f"not_measured: {why}")
