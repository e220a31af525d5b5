"""The one place where a verdict is taken."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgefair.decision.cells import declared_table, measures
from edgefair.decision.evidence import Evidence
from edgefair.decision.gates import device, fairness, utility
from edgefair.decision.gates.device import Limits
from edgefair.decision.policy import Policy
from edgefair.decision.recording.corrections import assumptions, check_corrections
from edgefair.decision.summary import summarize
from edgefair.decision.verdict import EXIT_CODES, Gate, Outcome, Verdict, comparison_name, worst
from edgefair.decision.waivers import named
from edgefair.decision.weighted import weighted_design
from edgefair.errors import DataError, PolicyError, UsageError, did_you_mean
from edgefair.measure.counts import GroupCounts
from edgefair.measure.metrics import ACCURACY, DIFFERENCES, Estimated, all_metrics
from edgefair.measure.tables.count_table import CountTable
from edgefair.probe.bundles.gates import ABSOLUTE

# Key of the policy that holds a threshold -> the gate that judges by it, in the order of a verdict.
ASKED = {"max_eo_increase": fairness.paired, **utility.ASKED}


def decide(
    evidence: Evidence | GroupCounts,
    policy: Policy,
    *,
    budget: Limits | None = None,
    today: datetime.date | None = None,
    targets: int = 1,
    level: float | None = None,
    fail_level: float | None = None,
) -> Verdict:
    """Judge a measurement by a policy. Pure: equal arguments give an equal verdict.

    PASS needs no correction over gates and targets: it errs only where the one requirement that is not met is missed.
    FAIL claims that some requirement is broken somewhere, so all gates with limits of every target share its error
    (Bonferroni).

    Args:
        evidence: what was measured; counts alone where nothing else was.
        policy: thresholds and declared groups.
        budget: what the model may cost on this target beyond the policy, if its profile says so.
        today: the day on which waivers must still hold; needed where there are any.
        targets: how many the release is judged on, this one among them.
        level: error probability that this verdict may spend, where it is one of several on the same rows that share
            `policy.alpha`; default: all of it.
        fail_level: what FAIL may spend of it, if not the same; at most `level`.

    Raises:
        PolicyError, DataError: see `check_evidence`; or the policy's audit is sealed, and no level is given.
        UsageError: a level that is 0 or less, or more than what it is a part of.
    """
    _check_levels(policy.alpha, level, fail_level)
    evidence = Evidence(counts=evidence) if isinstance(evidence, GroupCounts) else evidence
    asked, spends = policy, policy.alpha if level is None else level
    evidence, policy = as_judged(evidence, policy, today, level)
    judged = _claims(policy) + device.claims(evidence, policy, budget)
    claims = judged * targets * (1.0 if fail_level is None else spends / fail_level)
    absolute = fairness.absolute(evidence, policy, claims)
    gates = [
        fairness.family_gate(ABSOLUTE, absolute, absolute.binding.threshold),
        utility.collapse(evidence.decided),
        utility.balanced_accuracy_floor(evidence, policy, claims),
        *_optional_gates(evidence, policy, claims),
        *device.cost(evidence, policy, budget, claims),
    ]
    outcome = worst(gate.outcome for gate in gates)
    through = outcome is Outcome.INCONCLUSIVE and policy.on_inconclusive == "warn"
    counts = evidence.counts
    return Verdict(
        outcome=outcome,
        exit_code=0 if through else EXIT_CODES[outcome],
        alpha=spends,
        gates=tuple(gates),
        attributes=tuple(summarize(counts, policy, name, evidence.design) for name in policy.attributes),
        metrics={name: _metrics(evidence, policy, name) for name in policy.attributes},
        failing=absolute.failing,
        failing_total=absolute.failing_total,
        comparisons=absolute.listed,
        comparisons_total=absolute.total,
        accuracy=_accuracy(counts.table if evidence.strata is None else evidence.strata.table),
        policy_digest=asked.digest,
        exceptions=_exceptions(policy),
        assumptions=assumptions(asked),
    )


def as_judged(
    evidence: Evidence, policy: Policy, today: datetime.date | None, level: float | None
) -> tuple[Evidence, Policy]:
    """Evidence and policy as the gates take them, once it is clear that they can be judged.

    Raises:
        PolicyError, DataError: as `decide`.
    """
    check_evidence(evidence, policy, today)
    if level is None and policy.audit == "sealed":
        raise PolicyError(
            "policy.audit is sealed, and these counts are there for all to see",
            expected="`edgefair.export` or `edgefair.verify`, which enter the verdict in the account of the rows",
            fix="judge counts by a policy with audit: open, or say with level= what this verdict may spend",
        )
    # Of what this verdict may spend, the limits of audited error rates have their share.
    alpha = (policy.alpha if level is None else level) * (policy.limits_alpha / policy.alpha)
    if alpha != policy.alpha:
        policy = policy.model_copy(update={"alpha": alpha, "errors": policy.errors.known})
    if evidence.strata is not None:
        evidence = replace(evidence, design=weighted_design(evidence.strata, policy))
    return evidence, policy


def _check_levels(alpha: float, level: float | None, fail_level: float | None) -> None:
    for name, of, most in (("level", level, alpha), ("fail_level", fail_level, alpha if level is None else level)):
        if of is not None and not 0 < of <= most:
            raise UsageError(f"{name}={of:g}: a verdict cannot err by that", expected=f"above 0, at most {most:g}")


def _optional_gates(evidence: Evidence, policy: Policy, claims: float) -> list[Gate]:
    """The gates of decisions that the policy asks for, in a fixed order."""
    found = [fairness.metric(evidence, policy, name, claims) for name in policy.judged_metrics]
    asked = ((gate, getattr(policy, key)) for key, gate in ASKED.items())
    return [*found, *(gate(evidence, policy, threshold, claims) for gate, threshold in asked if threshold is not None)]


def _claims(policy: Policy) -> int:
    """Gates of decisions whose FAIL may err: the gap, the floor, and those that the policy asks for."""
    return 2 + len(policy.judged_metrics) + sum(getattr(policy, key) is not None for key in ASKED)


def check_evidence(evidence: Evidence, policy: Policy, today: datetime.date | None) -> None:
    """Refuse what cannot be judged by this policy. `decide` does; a verdict that costs something is not asked for then.

    Raises:
        PolicyError: the policy names an attribute that was not counted, does not declare a group that has rows, holds
            an expired waiver, asks for what these classes do not have, or counts people where the evidence counts rows.
        DataError: the reference was measured on other rows.
    """
    _check_attributes(evidence.counts, policy)
    rows = evidence.decided
    for name in policy.attributes:
        declared_table(rows, policy, name)
    check_waivers(policy, today)
    _check_design(evidence, policy)
    check_classes(policy, evidence.counts.classes)
    _check_pairing(evidence)
    _check_strata(evidence)
    if evidence.audited is not None:
        evidence.audited.check(evidence.paired, evidence.design, policy)


def _metrics(evidence: Evidence, policy: Policy, name: str) -> dict[str, float | None]:
    """All metrics of an attribute, of estimated numbers of rows where a design chose which ones have labels."""
    by = policy.attributes_of(name)
    if evidence.strata is None:
        return all_metrics(evidence.counts.by(*by))
    return all_metrics(Estimated(evidence.counts.classes, evidence.strata.table_by(*by)))


def _accuracy(table: np.ndarray[Any, np.dtype[Any]]) -> float | None:
    rows = float(table.sum())
    return float(np.trace(table.sum(axis=0)) / rows) if rows else None


def _check_attributes(counts: GroupCounts, policy: Policy) -> None:
    for part in policy.base_attributes:
        if part not in counts.attributes:
            raise PolicyError(
                f"the policy judges '{part}', which was not measured{did_you_mean(part, counts.attributes)}",
                expected=f"one of {', '.join(counts.attributes)}",
                fix="add it to data.sensitive, or remove it from policy.attributes",
            )


def check_waivers(policy: Policy, today: datetime.date | None) -> None:
    """Refuse a policy whose waivers do not hold today. `decide` does; long work may want to know before it starts.

    Raises:
        PolicyError: a waiver that has expired, or one and no day.
    """
    for waiver in policy.waivers:
        if today is None:
            raise PolicyError("the policy has waivers, and today's date was not given", fix="pass today=")
        if waiver.expires < today:
            raise PolicyError(
                f"the waiver of '{waiver.name}' ({waiver.owner}: {waiver.reason}) expired on {waiver.expires}",
                fix="fix the model, or renew the waiver in the policy with a new date",
            )


def check_classes(policy: Policy, classes: Sequence[str]) -> None:
    """Refuse a policy that asks for what data of these classes does not have. `decide` does; it costs nothing before.

    Raises:
        PolicyError: a rate of the positive class, and more than two classes; a waiver that names no comparison, or may
            name several; error rates of other labels.
    """
    for metric in policy.judged_metrics:
        if len(classes) != 2 and DIFFERENCES[metric] != ACCURACY:
            raise PolicyError(
                f"'{metric}' has a threshold, and there are {len(classes)} classes",
                expected=f"two classes: it compares the {DIFFERENCES[metric]}, a rate of the positive one",
                fix="remove the threshold: equalized odds compares the rates of all classes",
            )
    named(policy.waived, _comparisons(policy, classes))
    check_corrections(policy, classes)


def _comparisons(policy: Policy, classes: Sequence[str]) -> Iterator[tuple[str, None]]:
    """The names of the comparisons that a waiver may let through."""
    for name in policy.attributes if policy.waivers else ():
        pairs = itertools.combinations(policy.group_names(name), 2)
        for label, pair in itertools.product(measures(classes), pairs):
            yield from ((comparison_name(name, measure, *pair), None) for measure in label)


def _check_design(evidence: Evidence, policy: Policy) -> None:
    design = evidence.design
    if design is not None and design.counted not in {None, policy.subject_weights}:
        raise PolicyError(
            f"the policy counts {policy.subject_weights} (subject_weights), and the evidence counts {design.counted}",
            fix="measure again by this policy",
        )


def _check_pairing(evidence: Evidence) -> None:
    """The candidate's decisions beside the reference must be those that are judged."""
    if evidence.paired is None:
        return
    paired, counts = evidence.paired.candidate, evidence.counts
    same = (paired.attributes, paired.groups, paired.classes) == (counts.attributes, counts.groups, counts.classes)
    if not same or not np.array_equal(paired.table, counts.table):
        raise DataError(
            f"the reference was measured on different rows: {paired.n:,} pairs beside {counts.n:,} decisions",
            expected="both models' decisions on the same rows",
        )


def _check_strata(evidence: Evidence) -> None:
    """The counts must be those of the labelled rows of the strata."""
    if evidence.strata is None:
        return
    if evidence.audited is not None:
        raise DataError("rows of a label design with the audit of a reference", expected="one of them")
    if evidence.design is not None:
        raise DataError("rows of a label design cannot be rows of subjects", expected="strata or a design, not both")
    for said, found in ((evidence.counts, evidence.strata.counts()), (evidence.paired, evidence.strata.paired())):
        if not _same(said, found):
            raise DataError(
                "the strata of the label design hold other labelled rows than the counts",
                expected="counts of the same labelled rows",
            )


def _same(one: CountTable | None, other: CountTable | None) -> bool:
    """Whether two tables hold the same numbers, whatever groups without rows they list."""
    if one is None or other is None:
        return one is other
    if (one.attributes, one.classes) != (other.attributes, other.classes):
        return False
    rows = [
        {group: numbers.tolist() for group, numbers in zip(part.groups, part.table, strict=True) if numbers.any()}
        for part in (one, other)
    ]
    return rows[0] == rows[1]


def _exceptions(policy: Policy) -> tuple[str, ...]:
    found = []
    if policy.rule == "point":
        found.append("rule: point (estimates are compared with thresholds; chance decides near them)")
    if policy.on_inconclusive == "warn":
        found.append("on_inconclusive: warn (INCONCLUSIVE is let through)")
    found += [
        f"waiver until {item.expires} by {item.owner}: '{item.name}' is let through: {item.reason}"
        for item in policy.waivers
    ]
    return tuple(found)
