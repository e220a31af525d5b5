"""What is printed is true: a headline's numbers are in its lines, who is named worst is, reasons are sentences."""

import io
import re

import numpy as np
import pytest

from edgefair.decision.decide import decide
from edgefair.decision.policy import Policy
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts
from edgefair.probe.bundles.gates import ABSOLUTE, FLOOR
from edgefair.report.results.comparison import compare_paired
from edgefair.report.terminal.comparison import render
from edgefair.report.terminal.console import PlainConsole
from edgefair.report.terminal.training import _why_kept, aim_lines
from edgefair.training.selection import aims, standing

GROUPS = ("g0", "g1", "g2")


def policy(**changes):
    return Policy.model_validate({"attributes": {"sex": {"groups": GROUPS}}} | changes)


def counts(*groups):
    """From (true positives, positives, false positives, negatives) per group."""
    table = np.array([[[n0 - fp, fp], [n1 - tp, tp]] for tp, n1, fp, n0 in groups], dtype=np.int64)
    return GroupCounts(("sex",), tuple((name,) for name in GROUPS[: len(table)]), ("no", "yes"), table)


@pytest.mark.parametrize("increase", [None, 0.02, 0.2])
@pytest.mark.parametrize("seed", range(12))
def test_every_number_in_the_headline_of_a_comparison_is_in_one_of_its_lines(seed, increase):
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 400, (3, 2, 2, 2)) + np.eye(2, dtype=np.int64) * rng.choice([0, 30, 2000], (3, 2, 1, 1))
    paired = PairedCounts(("sex",), tuple((name,) for name in GROUPS), ("no", "yes"), table)
    stream = io.StringIO()
    report = compare_paired(paired, policy(max_eo_increase=increase), before="a", after="b")
    PlainConsole(file=stream, width=200).print(render(report))
    headline, _, rest = stream.getvalue().partition("largest change of a difference between groups ")[2].partition("\n")
    lines = rest.partition("\n\n")[0].splitlines()
    numbers = re.findall(r"\d\.\d{4}", headline)
    assert len(numbers) == 3
    for place, number in enumerate(numbers):
        assert number in [
            re.findall(r"\d\.\d{4}", line)[-3:][place] for line in lines if "TPR" in line or "FPR" in line
        ]


def test_where_few_rows_make_a_group_decide_the_group_with_the_worst_estimate_is_named_too():
    found = counts((800, 1000, 100, 1000), (48, 60, 6, 60), (760, 1000, 100, 1000))
    reason = decide(found, policy(max_eo_gap=0.2, min_balanced_accuracy=0.7)).gate(FLOOR).reason
    assert reason.startswith("group 'g1' of 'sex': 0.8500 with lower limit")
    assert reason.endswith("its few rows decide, the worst estimate is 0.8300, of group 'g2' of 'sex'")


def test_the_group_that_is_worst_in_every_way_is_named_once():
    found = counts((800, 1000, 100, 1000), (700, 1000, 100, 1000))
    gate = decide(found, Policy(attributes={"sex": {"groups": GROUPS[:2]}}, min_balanced_accuracy=0.7)).gate(FLOOR)
    assert gate.reason.startswith("group 'g1'")
    assert "worst estimate" not in gate.reason


def test_the_reason_of_a_gate_is_a_sentence_without_the_code_that_programs_read():
    for few in ((40, 51, 500, 5000), (0, 0, 500, 5000)):
        gate = decide(counts((4000, 5000, 500, 5000), few, few), policy()).gate(ABSOLUTE)
        assert gate.binding.to_json()["reason"] == f"{gate.binding.code}: {gate.binding.reason}"
        assert "_" not in gate.reason
        assert "group 'g1' has" in gate.reason


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (((80, 100, 10, 100), (80, 100, 10, 100)), "best balanced accuracy on these rows among epochs that meet gap"),
        (((90, 100, 10, 100), (80, 100, 10, 100)), "NO epoch met 0.5 of policy.max_eo_gap"),
        (((80, 100, 10, 100), (80, 100, 70, 100)), "NO epoch met the floor"),
    ],
)
def test_a_kept_epoch_is_the_best_only_where_it_keeps_gap_and_floor(groups, said):
    judged = Policy(attributes={"sex": {"groups": GROUPS[:2]}}, min_balanced_accuracy=0.7)
    assert _why_kept(standing(counts(*groups), judged, aim=0.5).to_json(), 0.5).startswith(said)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (((80, 100, 10, 100), (80, 100, 10, 100)), ("aim met", ": kept", ": kept")),
        (((90, 100, 10, 100), (80, 100, 10, 100)), ("aim MISSED", ": 0.0702 too wide", ": kept")),
        (((80, 100, 10, 100), (80, 100, 70, 100)), ("aim MISSED", ": 0.5464 too wide", ": 0.1429 too low")),
    ],
)
def test_a_training_says_which_of_its_aims_were_met_and_by_how_much_not(groups, said):
    judged = Policy(attributes={"sex": {"groups": GROUPS[:2]}}, min_balanced_accuracy=0.7)
    head, gap, floor = aim_lines([item.to_json() for item in aims(counts(*groups), judged, aim=0.5)])
    assert head.startswith(said[0])
    assert "aim 0.025 (0.5 of the threshold 0.05)" in gap
    assert gap.endswith(said[1])
    assert "floor 0.7" in floor
    assert floor.endswith(said[2])
    assert not list(aim_lines([]))
