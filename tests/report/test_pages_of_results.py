"""Pages of results: of every kind, small enough to send, and with the charts that there are."""

import importlib
import pkgutil
import re

import numpy as np
import pytest

from edgefair.decision.policy import Policy
from edgefair.measure.paired import PairedCounts
from edgefair.report import results as kinds
from edgefair.report.formats.base import Item
from edgefair.report.page.openings import OPENINGS
from edgefair.report.page.others import SENTENCES
from edgefair.report.results.comparison import compare_paired
from tests.report.golden_results import document, results
from tests.report.study_results import studies

MOST_BYTES = 1 << 20
RESULTS = results() | studies()


@pytest.mark.parametrize("name", RESULTS)
def test_a_page_is_below_a_mebibyte_whatever_it_holds(name):
    assert len(document("html", Item(RESULTS[name])).encode()) < MOST_BYTES


def test_every_kind_of_result_that_is_no_verdict_has_a_sentence():
    schemas = set()
    for module in pkgutil.iter_modules(kinds.__path__):
        names = vars(importlib.import_module(f"{kinds.__name__}.{module.name}"))
        schemas |= {value.partition("/")[0] for name, value in names.items() if name.endswith("_SCHEMA")}
    # Verdicts and studies have pages of their own.
    assert schemas - {"edgefair.report", "edgefair.study-report"} == SENTENCES.keys() == OPENINGS.keys()


def test_a_comparison_shows_whose_decisions_changed():
    label, decision = np.repeat([0, 1], 200), np.repeat([0, 1], 200)
    changed = decision.copy()
    changed[[0, 2, 300]] = [1, 1, 0]
    paired = PairedCounts.from_rows(
        {"sex": np.tile(["F", "M"], 200)}, label=label, reference=decision, candidate=changed, classes=("no", "yes")
    )
    report = compare_paired(paired, Policy(attributes={"sex": {"groups": ["F", "M"]}}), before="a.onnx", after="b.onnx")
    page = document("html", Item(report))
    assert "Decisions that changed" in page
    assert re.search(r"<text[^>]*>F, label no</text>.*<text[^>]*>2 broken, 0 corrected</text>", page)
