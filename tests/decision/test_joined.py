"""A reference that was audited once, and what compression changed, make one gap with limits that hold."""

import numpy as np
import pytest

from benchmarks.false_pass.combined import scenarios
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.reference.audited import AuditedReference
from edgefair.decision.reference.joined import OF_CHANGE, OF_REFERENCE
from edgefair.decision.verdict import Code, Outcome
from edgefair.errors import DataError, PolicyError
from edgefair.measure.bounds import change, clopper_pearson, mover
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Design
from edgefair.measure.exact import staircase
from edgefair.probe.bundles.gates import ABSOLUTE
from tests.decision.helpers_decision import counts_of, paired_of, policy

MANY = counts_of([[[18_000, 2000], [4000, 16_000]], [[17_900, 2100], [4100, 15_900]]])
FEW = paired_of([[[[270, 2], [1, 27]], [[59, 1], [2, 238]]], [[[268, 1], [2, 29]], [[60, 2], [1, 237]]]])


def audited(counts=MANY, design=None):
    return AuditedReference("0" * 64, "1" * 64, "2026-11-01", None, counts, design)


def judged(paired=FEW, reference=None, rules=None):
    evidence = Evidence(paired.candidate, paired, audited=audited() if reference is None else reference)
    return decide(evidence, rules or policy(len(paired.groups))).gate(ABSOLUTE)


def test_the_limits_are_the_sums_of_those_of_both_parts_which_share_alpha():
    gate = judged()
    binding = gate.binding
    label = {"FPR": 0, "TPR": 1}[binding.measure]
    few, many = FEW.table[:, label], MANY.table[:, label]
    level = 0.05 * OF_CHANGE

    def share(x, n):
        return x / n, *clopper_pearson(x, n, level)

    changes = [change(share(cell[0, 1], cell.sum()), share(cell[1, 0], cell.sum())) for cell in few]
    moved = mover(*changes[0], *changes[1])
    hits, rows = [np.array([cell[1]]) for cell in many], [np.array([cell.sum()]) for cell in many]
    above = staircase(hits, rows, 0.05 * OF_REFERENCE)[0]
    below = -staircase(hits[::-1], rows[::-1], 0.05 * OF_REFERENCE)[0]
    assert gate.outcome is Outcome.PASS
    assert gate.upper == pytest.approx(max(above + moved[2], -(below + moved[1])))
    assert binding.difference == pytest.approx(hits[0] / rows[0] - hits[1] / rows[1] + moved[0], abs=1e-12)
    assert binding.joined.change_upper == pytest.approx(moved[2])
    assert binding.joined.reference_upper == pytest.approx(above, abs=2e-3)


def test_the_names_of_groups_and_their_order_change_nothing():
    swapped = paired_of(FEW.table[::-1])
    other = judged(swapped, audited(counts_of(MANY.table[::-1])))
    assert (other.outcome, other.upper) == (judged().outcome, pytest.approx(judged().upper))


def test_the_rows_at_hand_alone_are_too_few():
    assert decide(FEW.candidate, policy()).gate(ABSOLUTE).outcome is Outcome.INCONCLUSIVE


def test_an_unfair_reference_fails_however_little_compression_changed():
    table = MANY.table.copy()
    table[0, 1] = [8000, 12_000]
    assert judged(reference=audited(counts_of(table))).outcome is Outcome.FAIL


@pytest.mark.parametrize("where", ["reference", "rows at hand"])
def test_a_group_without_rows_in_either_part_never_passes(where):
    many, few = MANY.table.copy(), FEW.table.copy()
    if where == "reference":
        many[0, 1] = 0
    else:
        few[0, 1] = 0
    gate = judged(paired_of(few), audited(counts_of(many)))
    assert (gate.outcome, gate.binding.code) == (Outcome.INCONCLUSIVE, Code.UNDEFINED_CELL)


def test_a_part_of_too_few_rows_is_not_judged():
    small = counts_of(MANY.table // 500)
    assert judged(reference=audited(small)).binding.code is Code.TOO_FEW


def test_a_model_that_is_no_longer_the_reference_is_not_judged_by_its_audit():
    others = np.array([[[[10, 290], [0, 0]], [[0, 0], [1, 299]]]] * 2)
    gate = judged(paired_of(others), rules=policy(max_eo_gap=0.9))
    assert gate.outcome is Outcome.INCONCLUSIVE
    assert gate.upper == 1


def test_rows_needed_are_those_of_the_change():
    wide = paired_of(np.maximum(FEW.table // 2, 1))
    gate = judged(wide, rules=policy(max_eo_gap=0.03))
    assert gate.outcome is Outcome.INCONCLUSIVE
    assert gate.binding.rows_needed < 10_000


def test_what_cannot_be_joined_is_refused():
    other = GroupCounts(("age",), MANY.groups, MANY.classes, MANY.table)
    named = GroupCounts(("sex",), MANY.groups, ("no", "yes"), MANY.table)
    for reference in (other, named):
        with pytest.raises(DataError, match="the reference audit has the"):
            judged(reference=audited(reference))
    with pytest.raises(DataError, match="no decisions of the reference"):
        decide(Evidence(FEW.candidate, audited=audited()), policy())
    with pytest.raises(DataError, match="belong to subjects"):
        judged(reference=audited(design=Design(rates={}, counted="people")))
    undeclared = counts_of(MANY.table, groups=["g0", "g7"])
    with pytest.raises(PolicyError, match="g7"):
        judged(reference=audited(undeclared))


def test_evidence_is_read_back_with_the_audit_and_without():
    for reference in (audited(), None):
        evidence = Evidence(FEW.candidate, FEW, audited=reference)
        again = Evidence.from_json(FEW.candidate, evidence.to_json())
        assert decide(again, policy()) == decide(evidence, policy())


SHORT = 40


@pytest.mark.parametrize("scenario", list(scenarios(quick=True)), ids=lambda item: item.name)
def test_by_simulation(scenario):
    rng = np.random.default_rng(1)
    share = np.mean([scenario.run(rng) for _ in range(SHORT)])
    bound = scenario.at_least if scenario.at_most is None else scenario.at_most
    error = 3 * np.sqrt(bound * (1 - bound) / SHORT)
    assert scenario.at_most is None or share <= scenario.at_most + error
    assert scenario.at_least is None or share >= scenario.at_least - error
