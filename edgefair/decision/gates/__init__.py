"""The gates of a release: each turns one requirement of the policy into a judged `Gate`.

Pure functions of counts and policy. Ids and names of gates are in `probe.bundles.gates`, titles in `report`.
"""

from __future__ import annotations

from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import TIE, Gate, Outcome

NO_REFERENCE = (
    "no reference model was measured on the same rows: pass the model before compression with `edgefair verify "
    "--reference`, or --uncompressed if this file was never compressed"
)
UNCHANGED = "nothing was compressed: the model before compression is this same file, so the change is exactly 0"


def judge_bounds(policy: Policy, estimate: float, lower: float, upper: float, threshold: float) -> Outcome:
    """A number that must be at most `threshold`: by its limits, or by itself under the point rule."""
    if policy.rule == "point":
        return Outcome.PASS if estimate <= threshold + TIE else Outcome.FAIL
    if upper <= threshold:
        return Outcome.PASS
    return Outcome.FAIL if lower > threshold else Outcome.INCONCLUSIVE


def unmeasured(gate: str, unit: str, threshold: float, why: str) -> Gate:
    """A gate whose evidence is lacking."""
    return Gate(gate, Outcome.INCONCLUSIVE, unit, None, None, None, threshold, f"not_measured: {why}")


def without_pairs(evidence: Evidence, gate: str, unit: str, threshold: float) -> Gate:
    """A gate that compares with the model before compression, where no pairs of decisions were counted.

    A model that is its own reference changed by 0, which is not an estimate and has no limits to be wider than that.
    """
    if evidence.own_reference:
        return Gate(gate, Outcome.PASS, unit, 0.0, 0.0, 0.0, threshold, UNCHANGED)
    return unmeasured(gate, unit, threshold, evidence.why_missing(gate, NO_REFERENCE))
