import json
import subprocess
import sys

import numpy as np
import pytest
from fairlearn.metrics import equalized_odds_difference
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Code, Outcome, Verdict
from edgefair.errors import PolicyError, UsageError
from edgefair.measure.counts import GroupCounts
from edgefair.measure.latency import summarize
from edgefair.probe.bundles.gates import ABSOLUTE, ACCURACY_DROP, COLLAPSE, FLOOR, LATENCY, PAIRED, SIZE
from tests.decision.helpers_decision import binary, counts_of, paired_of, policy

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE

cell = st.integers(0, 60)
tables = st.integers(2, 4).flatmap(
    lambda groups: st.lists(
        st.lists(st.lists(cell, min_size=2, max_size=2), min_size=2, max_size=2), min_size=groups, max_size=groups
    )
)


def rows_of(table):
    table = np.asarray(table)
    index = np.array([i for i in np.ndindex(table.shape) for _ in range(table[i])]).reshape(-1, 3)
    return index[:, 0], index[:, 1], index[:, 2]


def decided(table, **changes) -> Verdict:
    return decide(counts_of(table), policy(len(table), **changes))


@settings(max_examples=50, deadline=None)
@given(tables)
def test_the_gap_is_fairlearns_wherever_every_cell_is_filled(table):
    assume((np.asarray(table).sum(axis=2) > 0).all())
    group, label, decision = rows_of(table)
    expected = equalized_odds_difference(label, decision, sensitive_features=group, agg="worst_case")
    verdict = decided(table)
    assert verdict.attributes[0].gap == pytest.approx(expected, abs=1e-12)
    assert verdict.gate(ABSOLUTE).estimate == pytest.approx(expected, abs=1e-12)


@given(tables, st.randoms())
def test_the_names_and_the_order_of_the_groups_change_nothing(table, random):
    order = list(range(len(table)))
    random.shuffle(order)
    one, other = decided(table), decided([table[index] for index in order])
    assert one.outcome == other.outcome
    for name in (ABSOLUTE, FLOOR, COLLAPSE):
        a, b = one.gate(name), other.gate(name)
        assert (a.outcome, a.estimate, a.lower, a.upper) == (b.outcome, b.estimate, b.lower, b.upper)


@given(tables)
def test_limits_hold_the_estimate(table):
    gate = decided(table).gate(ABSOLUTE)
    if gate.estimate is not None:
        assert gate.lower <= gate.estimate <= gate.upper


@given(tables, st.floats(0.01, 0.2), st.floats(0.01, 0.2))
def test_a_verdict_with_less_error_is_more_careful(table, one, other):
    strict, lax = (decided(table, alpha=alpha, min_cell_rows=1).gate(ABSOLUTE) for alpha in sorted((one, other)))
    if strict.estimate is not None:
        assert strict.upper >= lax.upper - 1e-12
        assert strict.lower <= lax.lower + 1e-12


@given(tables, st.integers(2, 30))
def test_more_rows_of_the_same_rates_narrow_the_limits(table, times):
    one, many = decided(table).gate(ABSOLUTE), decided(np.asarray(table) * times).gate(ABSOLUTE)
    if one.estimate is not None:
        assert many.upper <= one.upper + 1e-12
        assert many.lower >= one.lower - 1e-12


@given(tables, st.integers(0, 1))
def test_a_declared_cell_without_rows_never_passes(table, label):
    table = np.asarray(table)
    table[0, label] = 0
    verdict = decided(table, max_eo_gap=1.0, min_cell_rows=1, min_balanced_accuracy=0.0)
    assert verdict.gate(ABSOLUTE).outcome is INCONCLUSIVE
    assert verdict.gate(ABSOLUTE).binding.code is Code.UNDEFINED_CELL
    assert verdict.outcome is not PASS


@given(tables)
def test_a_declared_group_that_is_absent_never_passes(table):
    verdict = decide(counts_of(table), policy(len(table) + 1))
    assert verdict.gate(ABSOLUTE).outcome in {INCONCLUSIVE, FAIL}
    assert verdict.outcome is not PASS
    assert verdict.attributes[0].gap is None


@given(tables, st.floats(0, 1))
def test_pass_means_that_every_upper_limit_is_within_and_fail_that_a_lower_is_beyond(table, tau):
    verdict = decided(table, max_eo_gap=tau, min_cell_rows=1)
    gate = verdict.gate(ABSOLUTE)
    filled = (np.asarray(table).sum(axis=2) > 0).all()
    if gate.outcome is PASS:
        assert filled
        assert gate.upper <= tau
    if gate.outcome is FAIL:
        assert any(item.lower > tau or item.outcome is FAIL for item in verdict.comparisons)
    if filled and gate.upper <= tau:
        assert gate.outcome is PASS


@given(tables)
def test_the_verdict_is_plain_json(table):
    json.dumps(decided(table).to_json(), allow_nan=False)


def test_a_fair_and_useful_model_passes():
    verdict = decide(binary((4000, 5000, 500, 5000), (4000, 5000, 500, 5000)), policy())
    assert (verdict.outcome, verdict.exit_code) == (PASS, 0)
    assert {item.id: item.outcome for item in verdict.gates} == {ABSOLUTE: PASS, COLLAPSE: PASS, FLOOR: PASS}


def test_an_unfair_model_fails_and_the_pair_is_named():
    verdict = decide(binary((4000, 5000, 500, 5000), (3000, 5000, 500, 5000)), policy())
    assert (verdict.outcome, verdict.exit_code) == (FAIL, 1)
    assert [item.name for item in verdict.failing] == ["sex: TPR, g0 / g1"]
    assert verdict.gate(ABSOLUTE).binding.difference == pytest.approx(0.2)
    assert verdict.attributes[0].parts == {"FPR": 0.0, "TPR": pytest.approx(0.2)}


def test_a_set_that_is_too_small_is_inconclusive_and_says_how_many_rows_are_lacking():
    verdict = decide(binary((80, 100, 10, 100), (80, 100, 10, 100)), policy())
    assert (verdict.outcome, verdict.exit_code) == (INCONCLUSIVE, 3)
    binding = verdict.gate(ABSOLUTE).binding
    assert binding.code is Code.TOO_UNCERTAIN
    assert binding.rows_needed > (1.6449 + 0.8416) ** 2 * 2 * 0.8 * 0.2 / 0.05**2
    assert "rows in every cell would decide" in verdict.gate(ABSOLUTE).reason


def test_with_the_rows_it_asks_for_a_fair_model_passes():
    n = decide(binary((80, 100, 10, 100), (80, 100, 10, 100)), policy()).gate(ABSOLUTE).binding.rows_needed
    fair = (round(0.8 * n), n, round(0.1 * n), n)
    assert decide(binary(fair, fair), policy()).outcome is PASS


def test_an_estimate_beyond_the_threshold_that_is_not_proven_asks_for_no_number_of_rows():
    binding = decide(binary((80, 100, 10, 100), (70, 100, 10, 100)), policy()).gate(ABSOLUTE).binding
    assert (binding.outcome, binding.code, binding.rows_needed) == (INCONCLUSIVE, Code.ESTIMATE_BEYOND, None)


def test_cells_below_52_rows_are_too_few_at_a_threshold_of_5_points():
    assert policy().cell_rows(0.05) == 52
    verdict = decide(binary((4000, 5000, 500, 5000), (41, 51, 500, 5000)), policy())
    binding = verdict.gate(ABSOLUTE).binding
    assert (binding.code, binding.reason) == (Code.TOO_FEW, "group 'g1' has 51 rows with this label, 52 are needed")


def test_a_difference_that_is_shown_needs_no_least_number_of_rows_and_warn_does_not_let_it_through():
    verdict = decide(binary((5000, 5000, 500, 5000), (0, 51, 500, 5000)), policy(on_inconclusive="warn"))
    gate = verdict.gate(ABSOLUTE)
    assert (gate.outcome, gate.binding.code, verdict.exit_code) == (FAIL, Code.BEYOND, 1)
    assert gate.lower > 0.8
    few = decide(binary((5000, 5000, 500, 5000), (1, 2, 500, 5000)), policy()).gate(ABSOLUTE)
    assert (few.outcome, few.binding.code) == (INCONCLUSIVE, Code.TOO_FEW)


@pytest.mark.parametrize(("one", "other"), [(80, 75), (75, 80), (95, 90), (60, 55)])
def test_by_the_point_rule_equality_passes_however_it_is_rounded(one, other):
    counts = binary((one, 100, 10, 100), (other, 100, 10, 100))
    gates = decide(counts, policy(rule="point", min_balanced_accuracy=(min(one, other) + 90) / 200)).gates
    assert {gate.outcome for gate in gates} == {PASS}
    beyond = binary((one * 1000 + 1, 100_000, 10, 100), (other * 1000, 100_000, 10, 100))
    assert decide(beyond, policy(rule="point")).gate(ABSOLUTE).outcome is (FAIL if one > other else PASS)


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(1, 40))
def test_what_is_shown_to_exceed_the_threshold_has_a_lower_limit_that_does(table, times):
    verdict = decided(np.asarray(table) * times, max_eo_gap=0.05)
    for item in (*verdict.failing, *verdict.comparisons):
        assert (item.outcome is FAIL) == (item.lower is not None and item.lower > item.threshold)


def test_holms_later_steps_show_no_limit_within_the_threshold():
    """The second comparison is found once the first is, at a level at which alone it would not be."""
    found = 0
    for lost in range(3500, 3700):
        verdict = decide(binary((4000, 5000, 500, 5000), (1000, 5000, 500, 5000), (lost, 5000, 500, 5000)), policy(3))
        late = [item for item in verdict.failing if item.lower == np.nextafter(item.threshold, 2)]
        found += len(late)
    assert found


def test_gates_and_targets_share_the_error_of_a_fail_and_not_that_of_a_pass():
    counts = binary((4000, 5000, 500, 5000), (3650, 5000, 500, 5000))
    alone = decide(counts, policy()).gate(ABSOLUTE)
    more = decide(counts, policy(metrics={"accuracy_difference": 0.5}), targets=3).gate(ABSOLUTE)
    assert more.lower < alone.lower
    assert more.upper == alone.upper


def test_equality_passes():
    counts = binary((4000, 5000, 500, 5000), (3990, 5000, 500, 5000))
    upper = decide(counts, policy()).gate(ABSOLUTE).upper
    assert decide(counts, policy(max_eo_gap=upper)).outcome is PASS
    assert decide(counts, policy(max_eo_gap=np.nextafter(upper, 0))).outcome is INCONCLUSIVE


def test_the_model_that_decides_one_class_for_everybody_has_no_gap_and_fails():
    verdict = decide(binary((0, 5000, 0, 50000), (0, 5000, 0, 50000)), policy())
    assert verdict.attributes[0].gap == 0
    assert verdict.gate(ABSOLUTE).outcome is PASS
    assert verdict.gate(COLLAPSE).outcome is FAIL
    assert "predicts '0' for everybody" in verdict.gate(COLLAPSE).reason
    assert verdict.exit_code == 1


def test_a_model_that_tosses_a_coin_is_not_better_than_chance_and_does_not_pass():
    verdict = decide(binary((2500, 5000, 2500, 5000), (2500, 5000, 2500, 5000)), policy())
    assert verdict.gate(ABSOLUTE).outcome is PASS
    assert verdict.gate(FLOOR).outcome is INCONCLUSIVE
    assert verdict.exit_code == 3


@pytest.mark.parametrize(("floor", "expected"), [(0.84, PASS), (0.85, INCONCLUSIVE), (0.87, FAIL)])
def test_the_floor_judges_the_worst_group(floor, expected):
    counts = binary((4000, 5000, 500, 5000), (4500, 5000, 500, 5000))
    gate = decide(counts, policy(max_eo_gap=0.2, min_balanced_accuracy=floor)).gate(FLOOR)
    assert gate.outcome is expected
    assert gate.estimate == pytest.approx(0.85)
    assert "group 'g0'" in gate.reason


def test_an_undeclared_group_is_an_error_and_not_left_out():
    with pytest.raises(PolicyError, match=r"group 'g2' of attribute 'sex' has 40 rows"):
        decide(counts_of(np.full((3, 2, 2), 10)), policy(2))


def test_an_attribute_that_was_not_measured_is_an_error():
    with pytest.raises(PolicyError, match=r"judges 'sex'.*did you mean 'sexx'"):
        decide(counts_of(np.full((2, 2, 2), 10), attribute="sexx"), policy(2))


def test_the_point_rule_compares_estimates_and_is_recorded():
    counts = binary((81, 100, 10, 100), (80, 100, 10, 100))
    verdict = decide(counts, policy(rule="point"))
    assert verdict.outcome is PASS
    assert verdict.exceptions[0].startswith("rule: point")
    assert decide(binary((90, 100, 10, 100), (80, 100, 10, 100)), policy(rule="point")).outcome is FAIL


def test_warn_lets_inconclusive_through_and_is_recorded_but_not_fail():
    verdict = decide(binary((80, 100, 10, 100), (80, 100, 10, 100)), policy(on_inconclusive="warn"))
    assert (verdict.outcome, verdict.exit_code) == (INCONCLUSIVE, 0)
    assert "on_inconclusive: warn" in verdict.exceptions[0]
    unfair = binary((4000, 5000, 500, 5000), (3000, 5000, 500, 5000))
    assert decide(unfair, policy(on_inconclusive="warn")).exit_code == 1


def test_holm_finds_what_bonferroni_alone_would_miss():
    counts = binary((4000, 5000, 500, 5000), (2000, 5000, 2500, 5000), (4000, 5000, 500, 5000))
    verdict = decide(counts, policy(3))
    assert len(verdict.failing) == 4
    assert {item.outcome for item in verdict.comparisons if "g0 / g2" in item.name} == {PASS}


def test_several_attributes_are_one_family_and_the_worst_decides():
    rng = np.random.default_rng(0)
    n = 40000
    sex, age = rng.integers(0, 2, n), rng.integers(0, 2, n)
    label = rng.integers(0, 2, n)
    right = rng.random(n) < np.where(age == 1, 0.7, 0.9)
    counts = GroupCounts.from_rows(
        {"sex": sex.astype(str), "age": age.astype(str)},
        label=label,
        decision=np.where(right, label, 1 - label),
        classes=("0", "1"),
    )
    rules = Policy.model_validate(
        {"attributes": {"sex": {"groups": ["0", "1"]}, "age": {"groups": ["0", "1"]}, "sex*age": {}}}
    )
    verdict = decide(counts, rules)
    assert verdict.comparisons_total == 2 + 2 + 12
    assert {item.attribute for item in verdict.failing} == {"age", "sex*age"}
    assert [item.attribute for item in verdict.attributes] == ["sex", "age", "sex*age"]
    assert [group.group for group in verdict.attributes[2].groups] == ["0*0", "0*1", "1*0", "1*1"]


def test_an_attribute_may_have_its_own_threshold():
    counts = binary((4000, 5000, 500, 5000), (3500, 5000, 500, 5000))
    rules = Policy.model_validate({"attributes": {"sex": {"groups": ["g0", "g1"], "max_eo_gap": 0.2}}})
    assert decide(counts, rules).outcome is PASS


def test_three_classes_are_compared_term_by_term():
    table = np.full((2, 3, 3), 300)
    for label in range(3):
        table[:, label, label] = 4000
    table[1, 2] = [1300, 300, 3000]
    verdict = decided(table)
    assert verdict.comparisons_total == 9
    assert {item.measure for item in verdict.failing} == {"P(0|2)", "P(2|2)"}


# The paired gate and the other gates --------------------------------------------------------------------------------


def flips(gained, lost, kept=4000, other=1000):
    """One (group, label) cell of a paired table: decisions 0 and 1 before and after."""
    return [[other, gained], [lost, kept]]


def with_pairs(table, **changes):
    paired = paired_of(table)
    return decide(Evidence(counts=paired.candidate, paired=paired), policy(len(table), **changes))


@given(
    st.lists(
        st.lists(
            st.lists(st.lists(st.integers(1, 50), min_size=2, max_size=2), min_size=2, max_size=2),
            min_size=2,
            max_size=2,
        ),
        min_size=2,
        max_size=4,
    )
)
def test_the_gap_grows_by_no_more_than_the_largest_paired_difference(table):
    paired = paired_of(table)
    rules = policy(len(table), max_eo_increase=0.5)
    before, after = (decide(item, rules).attributes[0].gap for item in (paired.reference, paired.candidate))
    largest = decide(Evidence(paired.candidate, paired), rules).gate(PAIRED).estimate
    assert abs(after - before) <= largest + 1e-12


def test_a_compression_that_flips_few_rows_passes_where_the_absolute_gate_cannot():
    table = [[flips(1, 1, 80, 720), flips(1, 1, 640, 160)] for _ in range(2)]
    verdict = with_pairs(table, max_eo_increase=0.02, max_eo_gap=0.03)
    assert verdict.gate(PAIRED).outcome is PASS
    assert verdict.gate(ABSOLUTE).outcome is INCONCLUSIVE


def test_a_compression_that_hurts_one_group_fails_the_paired_gate():
    table = [[flips(10, 10, 500, 4500), flips(10, 10)], [flips(10, 10, 500, 4500), flips(10, 400)]]
    verdict = with_pairs(table, max_eo_increase=0.02)
    assert verdict.gate(PAIRED).outcome is FAIL
    assert verdict.gate(PAIRED).binding.measure == "change of TPR"


@pytest.mark.parametrize("gate", [PAIRED, ACCURACY_DROP, LATENCY, SIZE])
def test_a_gate_whose_evidence_was_not_measured_is_inconclusive_and_says_why(gate):
    keys = {
        PAIRED: {"max_eo_increase": 0.02},
        ACCURACY_DROP: {"max_accuracy_drop": 0.01},
        LATENCY: {"max_latency_p90_ms": 5.0},
        SIZE: {"max_size_bytes": 10**6},
    }
    evidence = Evidence(
        counts=binary((4000, 5000, 500, 5000), (4000, 5000, 500, 5000)),
        not_measured=((gate, "the device is emulated"),),
    )
    verdict = decide(evidence, policy(**keys[gate]))
    assert verdict.gate(gate).outcome is INCONCLUSIVE
    assert verdict.gate(gate).reason == "not_measured: the device is emulated"
    assert verdict.exit_code == 3


@pytest.mark.parametrize(("drop", "expected"), [(0.0, FAIL), (0.0105, INCONCLUSIVE), (0.02, PASS)])
def test_the_accuracy_drop_is_judged_on_the_rows_that_flipped(drop, expected):
    table = [[flips(10, 10, 500, 4500), flips(50, 150)] for _ in range(2)]
    gate = with_pairs(table, max_accuracy_drop=drop, max_eo_gap=1).gate(ACCURACY_DROP)
    assert gate.estimate == pytest.approx(200 / 20440)
    assert gate.outcome is expected


@pytest.mark.parametrize(("limit", "expected"), [(0.5, FAIL), (1.0, PASS), (2.0, PASS)])
def test_latency_is_judged_by_the_limits_of_its_p90(limit, expected):
    latency = summarize(np.full(1000, 10**6), level=0.05)
    evidence = Evidence(counts=binary((4000, 5000, 500, 5000), (4000, 5000, 500, 5000)), latency=latency)
    assert decide(evidence, policy(max_latency_p90_ms=limit)).gate(LATENCY).outcome is expected


@pytest.mark.parametrize("rule", ["bound", "point"])
def test_queries_that_are_too_alike_judge_no_latency(rule):
    times = np.repeat(np.random.default_rng(0).integers(900_000, 10**6, 30), 100)
    evidence = Evidence(
        counts=binary((4000, 5000, 500, 5000), (4000, 5000, 500, 5000)), latency=summarize(times, level=0.05)
    )
    gate = decide(evidence, policy(max_latency_p90_ms=50.0, rule=rule)).gate(LATENCY)
    assert gate.outcome is INCONCLUSIVE
    assert "too few, 64 independent ones are needed" in gate.reason


def test_size_is_exact():
    evidence = Evidence(counts=binary((4000, 5000, 500, 5000), (4000, 5000, 500, 5000)), size_bytes=1000)
    assert decide(evidence, policy(max_size_bytes=1000)).gate(SIZE).outcome is PASS
    assert decide(evidence, policy(max_size_bytes=999)).gate(SIZE).outcome is FAIL


def test_a_gate_that_was_not_judged_is_an_error_that_names_those_that_were():
    verdict = decide(binary((800, 1000, 100, 1000), (800, 1000, 100, 1000)), policy())
    with pytest.raises(KeyError, match="no gate 'equalized-odds gap' was judged, but eo_gap, decisions_vary, "):
        verdict.gate("equalized-odds gap")


def test_a_level_below_alpha_is_the_one_that_limits_and_verdict_are_taken_at():
    counts, judged = binary((4000, 5000, 500, 5000), (3900, 5000, 500, 5000)), policy()
    few = decide(counts, judged, level=0.005)
    assert (few.alpha, few.policy_digest) == (0.005, judged.digest)
    assert few.gates == decide(counts, policy(alpha=0.005)).gates
    assert few.gate(ABSOLUTE).upper > decide(counts, judged).gate(ABSOLUTE).upper


TELLING = binary((800, 1000, 100, 1000), (755, 1000, 100, 1000))


@pytest.mark.parametrize(
    "levels",
    [
        {"level": 0.0},
        {"level": 0.06},
        {"level": float("nan")},
        {"fail_level": 0.0},
        {"level": 0.01, "fail_level": 0.02},
    ],
)
def test_a_verdict_spends_more_than_nothing_and_no_more_than_there_is(levels):
    with pytest.raises(UsageError, match="a verdict cannot err by that"):
        decide(TELLING, policy(), **levels)


@pytest.mark.parametrize(("threshold", "said"), [(0.04, "the estimate is beyond 0.04"), (0.05, "is at most 0.05")])
def test_an_estimate_alone_is_not_said_to_show_anything(threshold, said):
    reason = decide(TELLING, policy(rule="point", max_eo_gap=threshold)).gates[0].reason
    assert said in reason
    assert "shown" not in reason


def test_a_verdict_is_taken_without_the_parts_of_scipy_that_take_seconds_to_load():
    code = "import sys, edgefair.decision.decide as d; print(*sorted(m for m in sys.modules if m.startswith('scipy.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "scipy.special" in loaded
    assert not loaded & {"scipy.stats", "scipy.optimize"}
