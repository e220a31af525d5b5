"""Rows whose decision compression changed: of every cell, in each way, as many as are asked for."""

import io

import numpy as np
import pytest
from PIL import Image

from edgefair.data.files.table import Categories, Table
from edgefair.data.images.glyph_set import glyph_table
from edgefair.data.images.glyphs import GlyphConfig
from edgefair.data.rows import TableRows
from edgefair.data.texts import Texts
from edgefair.errors import UsageError
from edgefair.measure.flips import cell_flips
from edgefair.measure.paired import PairedCounts
from edgefair.report.output import outputs_of
from edgefair.workflow.exemplars.changed import MOST_CELLS, MOST_TEXT, DecidedTwice, RowsToShow, to_show_in

CLASSES = ("no", "yes", "maybe")
RNG = np.random.default_rng(0)


def rows_of(columns, *, label, sex, ids=None):
    return TableRows(
        Table(columns), tuple(columns), np.asarray(label), {"sex": Categories.of(sex)}, ids, None, tuple(columns)
    )


def shown(rows, before, after, each=2, **more):
    asked = RowsToShow(each)
    asked.take("local", rows, DecidedTwice(before, after, **more), attributes=["sex"], classes=CLASSES)
    return asked.found.by_target["local"], asked.found.cells_left["local"]


def test_cells_and_kinds_are_those_that_the_report_counts_and_no_more_rows_than_asked_for():
    label, before, after = RNG.integers(0, 3, (3, 900))
    sex = RNG.choice(["F", "M"], 900)
    cells, left = shown(rows_of({"age": np.arange(900.0)}, label=label, sex=sex), before, after)
    paired = PairedCounts.from_rows({"sex": sex}, label=label, reference=before, candidate=after, classes=CLASSES)
    counted = {(flip.group[0], flip.label): flip for flip in cell_flips(paired)}
    assert left == 0
    assert len(cells) == len(counted) == 6
    assert [cell.there_are["broken"] for cell in cells] == sorted((c.broken for c in counted.values()), reverse=True)
    for cell in cells:
        flip = counted[cell.group, cell.label]
        assert cell.there_are == {
            "broken": flip.broken, "corrected": flip.corrected,
            "wrong still": flip.flipped - flip.broken - flip.corrected,
        }  # fmt: skip
        assert [row.change for row in cell.rows] == ["broken"] * 2 + ["corrected"] * 2 + ["wrong still"] * 2
        for row in cell.rows:
            at = int(row.values["age"])
            assert (row.name, row.before, row.after) == (f"row {at}", CLASSES[before[at]], CLASSES[after[at]])
            assert (sex[at], CLASSES[label[at]]) == (cell.group, cell.label)


def test_rows_keep_their_place_their_id_and_their_scores():
    rows = rows_of({"age": np.array([40.0, np.nan])}, label=[1, 1], sex=["F", "F"])
    scores = {"score_before": np.array([0.75, 0.5]), "score_after": np.array([0.25, 0.5])}
    ((cell,), _) = shown(rows, np.array([1, 1]), np.array([0, 0]), place=np.array([17, 4]), **scores)
    assert [(row.name, row.score_before, row.values["age"]) for row in cell.rows] == [
        ("row 17", 0.75, "40"), ("row 4", 0.5, "missing"),
    ]  # fmt: skip
    named = rows_of({"age": np.zeros(2)}, label=[1, -1], sex=["F", "F"], ids=Categories.of(["p1", "p2"]))
    ((cell,), _) = shown(named, np.array([1, 1]), np.array([0, 0]))
    assert [row.name for row in cell.rows] == ["p1"], "a row without a label is neither broken nor corrected"


def test_rows_that_were_not_decided_are_not_shown_and_of_many_cells_the_worst_ones():
    sex = [f"g{index:02}" for index in range(40)]
    rows = rows_of({"age": np.zeros(40)}, label=np.ones(40, int), sex=sex)
    cells, left = shown(rows, np.ones(30, int), np.zeros(30, int))
    assert len(cells) == MOST_CELLS
    assert left == 30 - MOST_CELLS
    assert not {cell.group for cell in cells} & set(sex[30:])


def test_pictures_are_made_anew_small_whatever_they_show():
    table = glyph_table(GlyphConfig(rows=100, audit_rows=8, size=96, noise=1))
    count = table.rows
    rows = rows_of({"picture": table.columns["picture"]}, label=np.ones(count, int), sex=["F"] * count)
    ((cell,), _) = shown(rows, np.ones(count, int), np.zeros(count, int), each=3)
    assert len(cell.rows) == 3
    for row in cell.rows:
        assert Image.open(io.BytesIO(row.picture)).size == (128, 128)
        assert len(row.picture) < 40_000
        assert row.values == {}


def test_long_texts_are_cut():
    texts = Texts(Categories.of(["a" * 2000, "short"]), tokenizer=None)
    rows = rows_of({"text": texts, "age": np.array([1.5, 2])}, label=[1, 1], sex=["F", "F"])
    ((cell,), _) = shown(rows, np.array([1, 1]), np.array([0, 0]))
    assert [row.text for row in cell.rows] == ["a" * MOST_TEXT + "…", "short"]
    assert [row.values for row in cell.rows] == [{"age": "1.5"}, {"age": "2"}]


def test_nothing_is_taken_unless_it_is_asked_for_and_there_is_a_place_for_it(tmp_path):
    outputs = outputs_of([f"html={tmp_path / 'page.html'}"])
    assert to_show_in(outputs, None) is None
    assert to_show_in(outputs, 5).each == 5
    with pytest.raises(UsageError, match="no file that shows rows"):
        to_show_in(outputs_of(["html"]), 5)
