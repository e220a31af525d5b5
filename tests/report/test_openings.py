"""The first screen of every page: what was found, in words, and what to do next."""

from dataclasses import replace

import numpy as np
import pytest

from edgefair.report.charts.layers import layer_map
from edgefair.report.formats.base import Item
from edgefair.report.formats.card import OTHER, PICTURES, TABLES, TEXTS, task_of
from edgefair.report.page.openings import OPENINGS
from edgefair.report.page.others import sheet
from edgefair.report.results.audit import AuditStatus
from edgefair.report.results.data import Cells, Summary
from edgefair.report.results.diagnosis import Exposure
from edgefair.report.results.label_plan import LabelPlan
from edgefair.report.results.plan import GapPlan
from tests.report.golden_results import document, results
from tests.report.rich_results import compared, explained
from tests.report.test_reading import others

OTHERS = others()
FAIR, WORSE = GapPlan(0.0, 0.98, 0.01, 0.5, 1279), GapPlan(0.02, 0.78, 0.02, 1.01, 2704)
PLAN = replace(OTHERS["plan"], attributes=(), power=(FAIR, WORSE))
STATUS = AuditStatus("a.jsonl", "ab" * 32, "people.csv", 900, "cd" * 32, "sealed", 0.05, 2, 0.004, None)
LABELS = LabelPlan("people.csv", 900, 100, "fp32.onnx", "to_label.csv", "design.json", (), ("F, yes has 3",))
DATA = Summary(
    "people.csv", (), {"train": 30, "audit": 9},
    {"audit": (Cells(("sex",), ("F", "M"), ("no", "yes"), np.array([[3, 1], [3, 2]])),)},
)  # fmt: skip


def opening(result):
    return OPENINGS[result.schema.partition("/")[0]](result)


def test_a_comparison_says_how_many_decisions_changed_for_whom_and_how_far_a_difference_may_have_grown():
    found = opening(compared())
    assert found.lead == (
        "From 'fp32.onnx' to 'int8.onnx' 108 of 4,000 decisions change: 64 become right and 44 wrong. Most become "
        "wrong in the group 'Female' with label 'no': 22. A difference between two groups grows by at most 2.2 points "
        "(confidence 0.95), and 2 are allowed."
    )
    assert (found.headline, found.outcome) == ("INCONCLUSIVE", "INCONCLUSIVE")


def test_without_a_threshold_a_comparison_has_no_outcome_anywhere():
    result = replace(compared(), threshold=None, outcome=None)
    found = opening(result)
    assert (found.headline, found.outcome) == ("What changed, and for whom", "")
    assert "allowed" not in found.lead
    assert "--max-eo-increase" in found.steps[0]
    changes = sheet(result, "t").sections[0]
    chart, numbers = changes.blocks
    assert not {"pass", "fail", "unsure"} & {shape.paint for shape in chart.drawing.shapes}
    assert "verdict" not in numbers.blocks[0].head
    assert "threshold" not in chart.caption


def test_an_explanation_names_the_layer_and_whom_it_hurts_most():
    result = explained(4)
    loss, name, layer = max(
        (value, result.cells[at].name, item.node) for item in result.layers for at, value in enumerate(item.within.loss)
    )
    lead = opening(result).lead
    assert lead.startswith(f"INT8 in the layer '{layer}' hurts '{name}' most: ")
    assert f" {loss:.3f} nats" in lead
    calm = replace(result, layers=())
    assert opening(calm).lead == "In no layer does INT8 make the loss of any group and label grow."


def test_a_page_draws_a_map_for_each_thing_that_a_layer_does_and_a_file_all_of_them_beside_each_other():
    result = explained(4)
    charts = sheet(result, "t").sections[0].blocks
    assert len({chart.caption for chart in charts}) == 5
    assert charts[0].drawing.title == "loss by INT8 here, others INT8"
    assert charts[0].caption.endswith("by INT8 in this layer, with all others in INT8 too")
    assert all(chart.drawing.width < layer_map(result).width / 2 for chart in charts)


def test_commands_in_steps_are_code_and_other_names_are_text():
    page = document("html", Item(replace(results()["error"], fix="run `edgefair plan` in <b>a`")))
    assert "<li>to fix: run `edgefair plan` in &lt;b&gt;a`</li>" in page
    page = document("html", Item(replace(results()["error"], fix="run `edgefair plan` in `<b>a`")))
    assert "<li>to fix: run <code>edgefair plan</code> in <code>&lt;b&gt;a</code></li>" in page


@pytest.mark.parametrize(
    ("plan", "headline", "said"),
    [
        (PLAN, "These rows can decide", "with a chance of 98%, one with a true gap of 0.02 with 78%."),
        (replace(PLAN, power=(replace(FAIR, chance=0.4, times_rows=3.0),)), "These rows are too few", "chance of 40%."),
        (OTHERS["plan"], "These rows can only be INCONCLUSIVE", "Some groups lack rows"),
    ],
)
def test_a_plan_says_whether_the_rows_can_decide(plan, headline, said):
    found = opening(plan)
    assert found.headline == headline
    assert said in found.lead
    assert found.steps


def test_a_plan_of_many_cells_that_lack_rows_names_three_of_them():
    lacking = replace(OTHERS["plan"].attributes[0], lacking=tuple(f"cell {index}" for index in range(9)))
    (step,) = opening(replace(PLAN, attributes=(lacking,))).steps
    assert step == "collect audit rows: sex: cell 0; sex: cell 1; sex: cell 2, and 6 more cells"


def test_a_diagnosis_names_who_is_most_exposed():
    exposed = Exposure("F", "yes", 10, 0.5, 10, 0, loss=0.25, loss_bound=1.5)
    found = opening(replace(OTHERS["diagnosis"], cells=(exposed,)))
    assert "Most exposed: 'F, label yes', 10 training rows." in found.lead
    assert "mean loss of 0.2500 can grow by 1.5000. A hint, and not a verdict." in found.lead


@pytest.mark.parametrize(
    ("status", "headline"),
    [
        (STATUS, "Sealed"),
        (replace(STATUS, next_level=None), "Sealed, and spent"),
        (replace(STATUS, opened="opened by A. Person"), "Opened"),
        (replace(STATUS, policy="open", asked=0), "Not sealed"),
    ],
)
def test_the_state_of_a_seal_is_the_headline(status, headline):
    assert opening(status).headline == headline


def test_rows_to_label_data_and_errors_say_what_they_are():
    assert opening(LABELS).headline == "100 rows to label"
    assert "INCONCLUSIVE is to be expected" in opening(LABELS).lead
    assert opening(DATA).lead.endswith("Fewest audit rows: 'F' of sex with label 'yes', 1.")
    error = opening(results()["error"])
    assert (error.headline, error.lead) == ("No verdict", "Nothing was judged: the device was lost.")
    assert error.steps == ("expected: a connection that holds", "to fix: look at its log")


@pytest.mark.parametrize(
    ("section", "task"),
    [
        ({"source": "people.csv"}, TABLES),
        ({"source": "census-income"}, TABLES),
        ({"source": "posts.parquet", "text": "post"}, TEXTS),
        ({"source": "faces.csv", "picture": "path"}, PICTURES),
        ({"source": "celeba/", "layout": "celeba"}, PICTURES),
        ({"source": "glyphs"}, PICTURES),
        ({"source": "signals.npz"}, OTHER),
        ({}, OTHER),
    ],
)
def test_a_model_card_names_the_task_as_hugging_face_does(section, task):
    assert task_of(section) == task
