"""Charts say what the numbers say: curves of latency, trials of a repair, names that stay whole."""

import re
from dataclasses import replace

import numpy as np
import pytest

from edgefair.measure.latency import LEAST_FOR_P99, SHARES, LatencySummary, Quantiles, summarize
from edgefair.report.charts.axis import Axis, Upright, name_label, names_width
from edgefair.report.charts.curves import Curve, curves
from edgefair.report.charts.drawing import Dot, Label, Line, Rect
from edgefair.report.charts.scatter import Point, scatter
from edgefair.report.formats.base import Item
from edgefair.report.formats.json import json_text
from edgefair.report.page.trials import in_words
from edgefair.report.saved import read_saved
from tests.report.golden_results import document, results
from tests.report.rich_results import CHOICES, REPAIR, rich, trial

RICH = rich()
NANOSECONDS = np.arange(1, 2001) * 1000


def of(drawing, kind):
    return [shape for shape in drawing.shapes if isinstance(shape, kind)]


def test_quantiles_are_those_of_the_times_and_no_more_than_they_support():
    found = summarize(NANOSECONDS, level=0.05).quantiles
    assert found.shares == SHARES
    assert found.ms == pytest.approx(np.quantile(NANOSECONDS / 1e6, SHARES))
    assert summarize(NANOSECONDS[:LEAST_FOR_P99], level=0.05).quantiles.shares == SHARES
    some = summarize(NANOSECONDS[: LEAST_FOR_P99 - 1], level=0.05)
    assert some.p99_ms is None
    assert some.quantiles.shares == SHARES[1:-1]
    assert summarize(NANOSECONDS[:12], level=0.05).quantiles is None


def test_a_summary_is_read_back_and_one_of_before_has_no_quantiles(tmp_path):
    summary = summarize(NANOSECONDS, level=0.05)
    assert LatencySummary.from_json(summary.to_json()) == summary
    old = {key: value for key, value in summary.to_json().items() if key != "quantiles"}
    assert LatencySummary.from_json(old) == replace(summary, quantiles=None)
    (tmp_path / "report.json").write_text(json_text(RICH))
    assert json_text(read_saved(tmp_path / "report.json")) == json_text(RICH)


@pytest.mark.parametrize(
    ("shares", "ms"),
    [((), ()), ((0.1, 0.5), (1.0,)), ((0.5, 0.1), (1.0, 2.0)), ((0.1, 1.0), (1.0, 2.0)), ((0.1, 0.5), (2.0, 1.0)),
     ((0.1,), (float("nan"),)), ((0.1,), (-1.0,))],
)  # fmt: skip
def test_what_is_no_distribution_is_refused(shares, ms):
    with pytest.raises(ValueError, match="quantiles of latency"):
        Quantiles(shares, ms)


def test_a_curve_climbs_through_its_quantiles_and_marks_its_p90():
    points = [(1.0, 0.1), (2.0, 0.5), (4.0, 0.9)]
    drawing = curves("t", [Curve("new", points, (4.0, 0.9), "candidate", "p50 2")], threshold=3.0, said="at most 3")
    lines = [line for line in of(drawing, Line) if line.paint == "candidate"]
    (dot,) = of(drawing, Dot)
    assert [(line.to_x > line.x, line.to_y < line.y) for line in lines[:2]] == [(True, True)] * 2
    assert (dot.x, dot.y) == (lines[1].to_x, lines[1].to_y)
    upright = next(line for line in of(drawing, Line) if line.paint == "ink")
    assert lines[0].x < lines[1].x < upright.x < dot.x
    assert {"new: p50 2", "at most 3", "80%"} <= {label.text for label in of(drawing, Label)}


def test_a_budget_far_beyond_all_times_does_not_squeeze_the_curves():
    curve = Curve("new", [(1.0, 0.1), (2.0, 0.9)], None, "candidate", "")
    drawing = curves("t", [curve], threshold=500.0, said="at most 500")
    assert not [line for line in of(drawing, Line) if line.paint == "ink"]
    assert "at most 500" not in {label.text for label in of(drawing, Label)}


def test_a_page_shows_the_distributions_where_the_report_has_them_and_else_the_median_and_p99():
    page = document("html", Item(RICH))
    assert "Share of the queries answered within a time on a processor" in page
    assert "the p90 may be 2 ms" in page
    assert re.search(r'<th scope="row">99%</th><td class="number">[\d.]+</td><td class="number">[\d.]+</td>', page)
    target = RICH.targets[0]
    old = replace(target, latency=replace(target.latency, quantiles=None))
    assert "median (dot) to 99th percentile" in document("html", Item(replace(RICH, targets=(old,))))


def test_trials_are_dots_where_every_gate_was_kept_and_squares_elsewhere_and_the_chosen_one_is_named():
    points = [Point("1", 290, 0.19, False), Point("2, chosen", 410, 0.04, True)]
    drawing = scatter("t", points, threshold=0.05, unit=" kB", key=("kept", "not kept"))
    line = next(line for line in of(drawing, Line) if line.dashed)
    square, dot = of(drawing, Rect)[0], of(drawing, Dot)[0]
    assert square.y < line.y < dot.y
    assert square.x < dot.x
    assert {"1", "2, chosen", "kept", "not kept"} <= {label.text for label in of(drawing, Label)}


@pytest.mark.parametrize(
    ("changes", "axis"),
    [
        ({}, "size of the file"),
        ({"p90_ms": 1.5}, "p90 of the latency"),
        ({"gap": None}, None),
        ({"size_bytes": None}, None),
    ],
)
def test_trials_are_drawn_against_what_they_cost_as_far_as_that_is_known(changes, axis):
    trials = [made | changes for made in REPAIR["trials"]]
    page = document("html", Item(replace(RICH, settings={"repair": REPAIR | {"trials": trials}})))
    assert ("Upper limit of the equalized-odds gap" in page) == (axis is not None)
    assert axis is None or f"against the {axis}" in page
    assert '<th scope="row">3, chosen</th><td>every gate kept</td>' in page


def test_trials_of_reports_of_before_are_a_table():
    old = [{k: v for k, v in made.items() if k not in {"gap", "p90_ms", "size_bytes"}} for made in REPAIR["trials"]]
    page = document("html", Item(replace(RICH, settings={"repair": REPAIR | {"trials": old}})))
    assert "Upper limit of the equalized-odds gap" not in page
    assert page.count("every gate kept</td>") == 2


def test_a_choice_is_said_in_words():
    assert in_words(CHOICES[1]) == "pruned by 0.5; calibrated by int8-entropy; /conv1/Conv with 7-bit weights"
    assert in_words(CHOICES[3]).endswith("bias corrected; treated with last-layer")
    assert in_words(trial({"prune": None, "calibration": ""}, 0, 0, kept=True)["choice"]) == "the recipe"


@pytest.mark.parametrize("name", ["Female, label yes", "a", "x" * 20])
def test_the_longest_name_is_not_cut(name):
    assert name_label(name, 0, names_width([name, "b"])).text == name


def test_axes_have_ticks_between_their_ends_and_keep_what_lies_beyond_at_the_end():
    axis, upright = Axis(0, 2.0, 5.0, " ms"), Upright(0, 100, 0.0, 1.0, percent=True)
    assert [shape.text for shape in axis.shapes(0, 1) if isinstance(shape, Label)] == ["2 ms", "3 ms", "4 ms", "5 ms"]
    assert [shape.text for shape in upright.shapes(0, 1) if isinstance(shape, Label)][::5] == ["0%", "100%"]
    assert upright.y(7) == 0
    assert axis.x(-1) == 0


def test_every_result_of_before_still_has_its_page():
    for result in results().values():
        assert "<main>" in document("html", Item(result))
