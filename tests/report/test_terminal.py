"""The report as a person reads it: groups keep their names, and how the rows were chosen is said."""

import io

import numpy as np
import pytest

from edgefair.decision.decide import decide
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Gate, Outcome
from edgefair.measure.counts import GroupCounts
from edgefair.probe.bundles.gates import NAMES
from edgefair.report.results.verification import DataSection
from edgefair.report.terminal.console import PlainConsole
from edgefair.report.terminal.rows import data_line
from edgefair.report.terminal.verification import _gates, _groups

WIDTH = 120


def printed(classes, groups=("Female", "Male")):
    """The lines of an attribute's groups in a log, where the last class is decided worse for the last group."""
    names = tuple(f"class number {k}" for k in range(classes))
    table = np.stack([np.eye(classes, dtype=np.int64) * 900 + 10] * len(groups))
    table[-1, -1, -1] -= 500
    table[-1, -1, 0] += 500
    counts = GroupCounts(("sex",), tuple((group,) for group in groups), names, table)
    verdict = decide(counts, Policy(attributes={"sex": {"groups": list(groups)}}))
    stream = io.StringIO()
    PlainConsole(file=stream, width=WIDTH).print(*_groups(verdict, verdict.attributes[0]), sep="\n")
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("classes", [2, 3, 4, 40])
def test_every_group_is_named_whole_whatever_the_number_of_classes(classes):
    lines = printed(classes)
    for group in ("Female", "Male"):
        assert any(group in line for line in lines), lines
    assert max(map(len, lines)) <= WIDTH


def test_of_many_classes_the_rates_that_differ_most_are_shown_and_the_others_counted():
    lines = printed(40)
    assert len(lines) < 40
    assert any("class number 39" in line and "0.3" in line for line in lines)
    assert any("and 34 rates in which groups differ less" in line for line in lines)
    assert "smaller differences" in lines[0] + lines[1]


def test_a_gate_is_shown_by_its_title_and_known_by_its_id():
    gates = [Gate(gate, Outcome.PASS, "rate", 0.5, None, None, 0.5, "why") for gate in (*NAMES, "accuracy_difference")]
    stream = io.StringIO()
    PlainConsole(file=stream, width=WIDTH).print(*_gates(tuple(gates)), sep="\n")
    lines = stream.getvalue().splitlines()[::2]
    assert lines == [
        f"PASS         {title} 0.5000, threshold 0.5000 (rate)"
        for title in (
            "equalized-odds gap",
            "equalized-odds increase",
            "more than one class predicted",
            "worst-group balanced accuracy",
            "worst-group accuracy",
            "accuracy drop",
            "worst-group accuracy drop",
            "worst-group excess loss",
            "latency p90",
            "size",
            "load time",
            "peak memory",
            "accuracy_difference",
        )
    ]


def test_all_that_chooses_rows_is_said():
    section = {
        "label": "income",
        "positive": "high",
        "split": {"column": None, "seed": 7, "audit_fraction": 0.3, "audit": ["test"], "unused": []},
        "where": {"sex": ["F", "X"]},
        "merge": {"race": {"other": ["a", "b"]}},
        "equal_rows": "people",
    }
    rows = {"train": 1000, "validation": 100, "audit": 300, "unused": 0, "left_out_by_where": 20}
    assert data_line(DataSection(section, rows)) == (
        "label income (positive: high); split drawn with seed 7, 30% for the audit; where sex is F or X; race merged: "
        "other from a and b; equal rows: people. Rows: train 1,000, validation 100, audit 300, left out by where 20"
    )
    by_column = {"column": "part", "seed": 0, "audit_fraction": 0.3, "audit": ["test"], "unused": ["spare"]}
    plain = section | {"positive": None, "split": by_column, "where": {}, "merge": {}, "equal_rows": "refuse"}
    assert data_line(DataSection(plain, {"audit": 5})) == (
        "label income; split by part (audit test, unused spare). Rows: audit 5"
    )
