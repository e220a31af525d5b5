"""Metrics, floors, losses and waivers of the policy."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgefair.config import load_config
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Code, Outcome
from edgefair.errors import PolicyError
from edgefair.probe.bundles.gates import ABSOLUTE, EXCESS_LOSS, GROUP_ACCURACY, GROUP_DROP
from tests.decision.helpers_decision import binary, counts_of, paired_of, policy

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
UNFAIR = binary((4000, 5000, 500, 5000), (3000, 5000, 500, 5000))
WAIVER = {"comparison": "sex: TPR, g0 / g1", "reason": "known, mended in 2.1", "owner": "Ada", "expires": "2026-06-30"}


@pytest.mark.parametrize(
    ("metric", "limit", "expected"),
    [
        ("demographic_parity_difference", 0.2, PASS),
        ("demographic_parity_difference", 0.1, INCONCLUSIVE),
        ("demographic_parity_difference", 0.05, FAIL),
        ("predictive_parity_difference", 0.1, PASS),
        ("accuracy_difference", 0.05, FAIL),
        ("equal_opportunity_difference", 0.1, FAIL),
        ("false_positive_rate_difference", 0.05, PASS),
    ],
)
def test_other_metrics_can_have_thresholds_of_their_own(metric, limit, expected):
    gate = decide(UNFAIR, policy(max_eo_gap=0.5, metrics={metric: limit})).gate(metric)
    assert gate.outcome is expected
    assert gate.lower <= gate.estimate <= gate.upper
    assert gate.estimate == pytest.approx(decide(UNFAIR, policy()).metrics["sex"][metric])


def test_a_metric_without_trials_is_inconclusive():
    nobody_chosen = counts_of([[[50, 50], [50, 50]], [[100, 0], [100, 0]]])
    gate = decide(nobody_chosen, policy(metrics={"predictive_parity_difference": 0.5})).gate(
        "predictive_parity_difference"
    )
    assert gate.outcome is INCONCLUSIVE
    assert gate.binding.code is Code.UNDEFINED_CELL


@pytest.mark.parametrize(("floor", "expected"), [(0.7, PASS), (0.75, INCONCLUSIVE), (0.8, FAIL)])
def test_the_accuracy_of_the_worst_group_can_have_a_floor(floor, expected):
    assert decide(UNFAIR, policy(min_group_accuracy=floor)).gate(GROUP_ACCURACY).outcome is expected


def flips(gained, lost, kept=4000, other=1000):
    return [[other, gained], [lost, kept]]


HURT = [[flips(10, 10, 500, 4500), flips(10, 10)], [flips(10, 10, 500, 4500), flips(10, 400)]]


def with_pairs(**changes):
    paired = paired_of(HURT)
    return decide(Evidence(counts=paired.candidate, paired=paired), policy(2, max_eo_gap=1, **changes))


@pytest.mark.parametrize(("limit", "expected"), [(0.01, FAIL), (0.038, INCONCLUSIVE), (0.06, PASS)])
def test_no_group_may_lose_more_accuracy_than_the_policy_says(limit, expected):
    gate = with_pairs(max_group_accuracy_drop=limit).gate(GROUP_DROP)
    assert gate.outcome is expected
    assert gate.estimate == pytest.approx(390 / 10430)
    assert "group 'g1'" in gate.reason


@pytest.mark.parametrize(("limit", "expected"), [(0.005, FAIL), (0.019, INCONCLUSIVE), (0.03, PASS)])
def test_no_group_may_lose_more_than_the_average(limit, expected):
    gate = with_pairs(max_excess_loss=limit).gate(EXCESS_LOSS)
    assert gate.outcome is expected
    assert gate.estimate == pytest.approx(390 / 10430 - 390 / (10430 + 10040))


@given(st.lists(st.integers(1, 200), min_size=24, max_size=24))
def test_the_excess_losses_of_all_groups_average_to_nothing(numbers):
    from edgefair.report.results.comparison import compare_paired

    paired = paired_of(np.array(numbers).reshape(3, 2, 2, 2))
    report = compare_paired(paired, policy(3), before="a", after="b")
    rows = paired.table.sum(axis=(1, 2, 3))
    values = np.array(list(report.excess_loss["sex"].values()))
    assert np.average(values, weights=rows) == pytest.approx(0, abs=1e-12)


# Waivers --------------------------------------------------------------------------------------------------------------


def on(day, **changes):
    return decide(UNFAIR, policy(waivers=[WAIVER | changes]), today=datetime.date.fromisoformat(day))


def test_a_waiver_lets_a_named_comparison_through_and_says_so_loudly():
    verdict = on("2026-06-30")
    assert verdict.outcome is PASS
    assert verdict.gate(ABSOLUTE).binding.name == "sex: FPR, g0 / g1"
    assert verdict.failing == ()
    assert [item.outcome for item in verdict.comparisons if item.waived] == [FAIL]
    assert verdict.exceptions == (
        "waiver until 2026-06-30 by Ada: 'sex: TPR, g0 / g1' is let through: known, mended in 2.1",
    )


KEYS = {"attribute": "sex", "measure": "TPR", "groups": ["g1", "g0"]}


def test_a_waiver_may_name_the_keys_that_the_json_report_has_with_the_groups_in_any_order():
    binding = decide(UNFAIR, policy()).to_json()["failing"][0]
    assert {*KEYS["groups"]} == {binding["group_a"], binding["group_b"]}
    assert (binding["attribute"], binding["measure"]) == (KEYS["attribute"], KEYS["measure"])
    for groups in (["g0", "g1"], ["g1", "g0"]):
        verdict = on("2026-06-30", comparison=KEYS | {"groups": groups})
        assert [item.name for item in verdict.comparisons if item.waived] == ["sex: TPR, g0 / g1"]
        assert verdict.outcome is PASS
        name = f"sex: TPR, {' / '.join(groups)}"
        assert verdict.exceptions == (f"waiver until 2026-06-30 by Ada: '{name}' is let through: known, mended in 2.1",)


@pytest.mark.parametrize("change", [{"attribute": "race"}, {"measure": "tpr"}, {"groups": ["g0", "g0"]}])
def test_a_waiver_of_keys_that_are_no_comparison_is_refused(change):
    with pytest.raises(PolicyError, match="which is not a comparison of this policy"):
        on("2026-06-30", comparison=KEYS | change)


@pytest.mark.parametrize("comparison", [{}, 3, "", KEYS | {"groups": ["g0"]}, KEYS | {"gate": "eo_gap"}])
def test_a_waiver_of_half_a_comparison_is_refused(comparison):
    with pytest.raises(ValidationError):
        policy(waivers=[WAIVER | {"comparison": comparison}])


@pytest.mark.parametrize(
    ("comparison", "said"),
    [
        ("{attribute: sex, measure: TPR, group: [g0, g1]}", "key 'policy.waivers.0.comparison.groups' is missing"),
        ("{attribute: sex, measure: TPR, groups: [g0]}", "policy.waivers.0.comparison.groups.1"),
        ("{attribute: sex, measure: TPR, groups: [g0, g1], a: 1}", "unknown key 'policy.waivers.0.comparison.a'"),
        ("3", "policy.waivers.0.comparison: Input should be"),
        ("''", "policy.waivers.0.comparison: "),
    ],
)
def test_a_mistake_in_a_waiver_is_named_by_the_key_that_holds_it(tmp_path, comparison, said):
    (tmp_path / "edgefair.yaml").write_text(
        "data: {source: a.csv, label: y, sensitive: [sex]}\n"
        "policy:\n"
        "  attributes: {sex: {groups: [g0, g1]}}\n"
        f"  waivers: [{{comparison: {comparison}, reason: r, owner: o, expires: 2999-01-01}}]\n"
    )
    with pytest.raises(PolicyError) as refused:
        load_config(tmp_path / "edgefair.yaml")
    assert said in str(refused.value)


def test_groups_of_a_waiver_are_read_as_the_data_has_them():
    declared = Policy.model_validate({
        "attributes": {"grade": {"groups": [1, 2]}},
        "waivers": [WAIVER | {"comparison": {"attribute": "grade", "measure": "TPR", "groups": [1, 2.0]}}],
    })  # fmt: skip
    assert declared.waivers[0].name == "grade: TPR, 1 / 2"


def test_an_expired_waiver_is_refused():
    with pytest.raises(PolicyError, match="expired on 2026-06-30"):
        on("2026-07-01")


def test_a_waiver_that_names_nothing_is_refused():
    with pytest.raises(PolicyError, match=r"'sex: TPR, g1 / g0', which is not a comparison"):
        on("2026-06-01", comparison="sex: TPR, g1 / g0")


def test_a_waiver_without_a_day_to_hold_on_is_refused():
    with pytest.raises(PolicyError, match="today's date was not given"):
        decide(UNFAIR, policy(waivers=[WAIVER]))


def test_a_waiver_does_not_lift_another_gate():
    counts = binary((5000, 10000, 500, 10000), (1000, 10000, 500, 10000))
    verdict = decide(counts, policy(waivers=[WAIVER], min_balanced_accuracy=0.6), today=datetime.date(2026, 1, 1))
    assert verdict.gate(ABSOLUTE).outcome is PASS
    assert verdict.outcome is FAIL


def test_more_than_a_thousand_groups_are_judged():
    rng = np.random.default_rng(0)
    counts = counts_of(rng.integers(60, 90, size=(1001, 2, 2)))
    verdict = decide(counts, policy(1001, max_eo_gap=0.9))
    assert verdict.comparisons_total == 1001 * 1000
    assert len(verdict.comparisons) == 100


def test_an_attribute_can_have_its_own_threshold_of_a_metric():
    def outcome(metrics, own):
        rules = policy(max_eo_gap=0.5, metrics=metrics).model_dump()
        rules["attributes"]["sex"]["metrics"] = own
        verdict = decide(UNFAIR, type(policy()).model_validate(rules))
        return verdict.gate("accuracy_difference").outcome

    assert outcome({"accuracy_difference": 0.01}, {}) is FAIL
    assert outcome({"accuracy_difference": 0.01}, {"accuracy_difference": 0.3}) is PASS
    assert outcome({}, {"accuracy_difference": 0.3}) is PASS


def test_a_reference_of_other_rows_is_refused():
    from edgefair.errors import DataError

    paired = paired_of(HURT)
    with pytest.raises(DataError, match="measured on different rows"):
        decide(Evidence(counts=UNFAIR, paired=paired), policy(2, max_eo_increase=0.1))
