"""The plots of a study say what its numbers say, each with its null line, its finding as title, and words for whoever
cannot see it."""

import re
from dataclasses import replace

import pytest

from edgefair.report.charts.drawing import Dot, Label, Line, Rect
from edgefair.report.charts.pixels import picture
from edgefair.report.charts.studies.against import Track, against
from edgefair.report.charts.studies.effects import Effect, effects
from edgefair.report.charts.studies.means import Band, Point, Series, means
from edgefair.report.charts.studies.panels import WIDEST, beside
from edgefair.report.charts.studies.plane import Named, Spot, plane
from edgefair.report.charts.studies.series import letter_of, paint_of
from edgefair.report.charts.svg import svg
from edgefair.report.formats.base import Item
from edgefair.report.page.parts import Chart, More
from edgefair.report.study import words
from edgefair.report.study.drawings import certainty, contrasts, levels, people
from edgefair.report.study.sheet import sheet
from edgefair.study.findings.build import study_report
from tests.report.golden_results import document
from tests.report.study_results import LARGE, studies
from tests.study.drawn import plan_of, table_of

MOST_BYTES, SCREEN = 1 << 20, 44


@pytest.fixture(scope="module")
def report():
    return studies()["study"]


def of(drawing, kind):
    return [shape for shape in drawing.shapes if isinstance(shape, kind)]


def texts(drawing):
    return {label.text for label in of(drawing, Label)}


def charts(blocks):
    for block in blocks:
        yield from [block] if isinstance(block, Chart) else charts(block.blocks) if isinstance(block, More) else ()


def test_a_mean_lies_where_its_value_is_and_a_collapsed_one_is_hollow():
    series = [Series("one", [Point(0, 1.0, 0.5, 1.5), Point(1, 3.0, joined=True)]),
              Series("two", [Point(1, 2.0, hollow=True)])]  # fmt: skip
    drawing = means("t", ["a", "b"], series, axis="gap", null=0.0, band=Band(0.5, 1.5, "the control"))
    first, second, third = of(drawing, Dot)[:3]
    assert second.y < third.y < first.y
    assert (first.hollow, second.hollow, third.hollow) == (False, False, True)
    null = next(line for line in of(drawing, Line) if line.dashed)
    assert null.y > first.y
    joined = next(line for line in of(drawing, Line) if line.x == first.x and line.to_x == second.x)
    assert (joined.y, joined.to_y) == (first.y, second.y)
    band = next(box for box in of(drawing, Rect) if box.title == "the control")
    assert band.y < first.y < band.y + band.height
    assert {"a", "b", "A", "B", "one", "two", "the control", "gap"} <= texts(drawing)


def test_many_levels_are_written_upwards_and_stay_on_the_page():
    names = [f"prune 0.{number} taylor + int8" for number in range(12)]
    drawing = means("t", names, [Series("one", [Point(at, 1.0) for at in range(12)])], axis="gap")
    assert {label.text for label in of(drawing, Label) if label.upwards} == set(names)
    assert drawing.width < WIDEST


def test_an_effect_stands_on_its_side_of_the_null_line():
    rows = [Effect("up", 2.0, 1.0, 3.0, "candidate", "effect"), Effect("down", -4.0, None, None, "unsure", "no claim"),
            Effect("none", None, None, None, "unsure", "no number")]  # fmt: skip
    drawing = effects("t", rows, unit=" points", bounds=(-2.0, 2.0))
    null = next(line for line in of(drawing, Line) if line.dashed)
    up, down = of(drawing, Dot)
    assert down.x < null.x < up.x
    stripe = of(drawing, Rect)[0]
    assert stripe.x + stripe.width / 2 == pytest.approx(null.x)
    assert {"up", "down", "none", "no number"} <= texts(drawing)
    assert drawing.width <= WIDEST


def test_seeds_are_hollow_dots_and_their_mean_a_stroke():
    drawing = effects("t", [Effect("a", 1.0, None, None, "candidate", "", dots=[0.5, 1.5])], unit="")
    low, high = of(drawing, Dot)
    stroke = next(line for line in of(drawing, Line) if line.paint == "candidate")
    assert low.hollow
    assert stroke.x == pytest.approx((low.x + high.x) / 2)


def test_points_that_lie_together_are_named_together():
    spots = [Spot(0, 0, "a"), Spot(0.001, 0, "b"), Spot(5, 5, "c", shade=1.0), Spot(5, -5, "d", hollow=True)]
    drawing = plane("t", spots, Named("cost", 0.0), Named("worth", 0.0))
    assert {"1, 2", "3", "4"} <= texts(drawing)
    assert sum(line.dashed for line in of(drawing, Line)) == 2
    assert [dot.hollow for dot in of(drawing, Dot) if dot.title == "d"] == [True]


def test_power_is_drawn_to_where_the_study_stands_and_what_is_asked():
    track = Track("gap", [(float(n), 8 / n) for n in range(2, 33)])
    said = ("2 points", "this study: 8")
    drawing = against("t", [track], axis=("effect", "seeds"), asked=2.0, at=8, said=said)
    asked, here = (next(line for line in of(drawing, Line) if line.paint == "ink" and line.dashed is dashed)
                   for dashed in (True, False))  # fmt: skip
    dot = of(drawing, Dot)[0]
    assert dot.x == pytest.approx(here.x)
    assert dot.y > asked.y
    assert {"2 points", "this study: 8"} <= texts(drawing)


def test_drawings_beside_each_other_do_not_overlap_and_go_on_below():
    one = means("t", ["a"], [Series("one", [Point(0, 1.0)])], axis="gap")
    wide = beside("t", [one, replace(one, width=WIDEST)])
    assert wide.height > 2 * one.height
    both = beside("t", [one, one])
    assert both.width == 2 * one.width
    moved = both.shapes[len(one.shapes) :]
    assert [shape.x - one.width for shape in moved] == pytest.approx([shape.x for shape in one.shapes])


def test_series_have_letters_of_their_own_where_paints_come_again():
    assert [letter_of(number) for number in (0, 25, 26, 27)] == ["A", "Z", "AA", "AB"]
    assert paint_of(6) == paint_of(0)


def test_a_drawing_is_the_same_as_pixels(report):
    (chart, *_) = levels.extent(report)
    image = picture(chart.drawing)
    assert image.size == (round(chart.drawing.width), round(chart.drawing.height))
    assert len(image.getcolors(1 << 20)) > 5


@pytest.mark.parametrize("name", ["extent", "purity", "effects", "shares", "undoing", "pareto", "flips", "levelling",
                                  "seeds", "power"])  # fmt: skip
def test_each_of_the_ten_plots_states_its_finding_and_has_a_null(report, name):
    findings = [item for item in report.findings if item.family == "extent"]
    undone = [item for item in report.findings if item.family == "undoing"]
    made = {
        "extent": levels.extent(report),
        "purity": levels.purity(report),
        "effects": contrasts.forest(report, findings, ("extent", "asked")),
        "shares": certainty.shares(report),
        "undoing": contrasts.undoing(report, undone),
        "pareto": people.pareto(report),
        "flips": people.flips(report),
        "levelling": people.levelling(report),
        "seeds": contrasts.seeds(report, findings, "extent"),
        "power": certainty.power(report),
    }
    found = [*charts(made[name])]
    assert found
    for chart in found:
        assert re.search(r"\d", chart.finding), chart.finding
        assert chart.finding.rstrip(".") in chart.drawing.title
        told = re.search("[Dd]ashed|[Ww]hite|black stroke", chart.caption)
        assert told, chart.caption
        dashed = any(line.dashed for line in of(chart.drawing, Line))
        assert dashed or told[0] not in {"Dashed", "dashed"}
        assert f'aria-label="{chart.drawing.title[:20]}' in svg(chart.drawing).replace("&apos;", "'")


def test_exploratory_plots_say_so_and_planned_ones_do_not(report):
    for chart in charts([*people.pareto(report), *people.flips(report), *people.levelling(report),
                         *certainty.shares(report)]):  # fmt: skip
        assert "Exploratory" in chart.finding
    for chart in levels.extent(report):
        assert "Exploratory" not in chart.finding


def test_no_title_claims_more_than_three_seeds_or_a_part_of_the_cells_carry():
    for name in ("study-few", "study-part"):
        made = sheet(studies()[name], name)
        for chart in charts([block for section in made.sections for block in section.blocks]):
            assert "an effect" not in chart.finding
        assert "show an effect" not in made.headline
        page = document("html", Item(studies()[name]))
        assert not re.search("effect, p (&lt;|0)", page)
        assert "an effect (p" not in page


def test_the_page_prints_every_level_every_finding_and_the_plan(report):
    page = document("html", Item(report))
    # Of 36 conditions, each a row of the table of levels.
    rows = re.findall(r'<tr><th scope="row">(0|0\.2)</th>', page)
    assert len(rows) == len(report.levels) == 36
    text = page.replace("&#39;", "'").replace("&lt;", "<")
    for item in report.findings:
        # What shows no effect is a row of a table, which says once what all of its rows show.
        assert (item.sentence if item.is_effect else words.value(item, report.response(item.response))) in text
        assert item.name in text
    assert report.plan in page
    assert "the fine-tune diverged: loss is nan" in page


def test_a_terminal_shows_a_screen_of_it():
    for name, result in studies().items():
        lines = document("terminal", Item(result)).splitlines()
        assert len(lines) <= SCREEN, name
        assert lines[0] == f"study drawn: {words.headline(result)}"


@pytest.mark.long
def test_the_page_of_a_large_study_can_be_sent():
    plan = plan_of(LARGE)
    result = study_report(plan, table_of(plan), replicates=2)
    assert len(result.levels) > 200
    assert len(document("html", Item(result)).encode()) < MOST_BYTES
    assert len(document("terminal", Item(result)).splitlines()) <= SCREEN


def test_names_of_users_are_text_in_every_form(report):
    hostile = "<b>x</b>\x1b[31m::error::|"
    odd = replace(report, study=hostile, setting={"data": hostile}, notes=(hostile,),
                  levelling=tuple(replace(item, best=hostile) for item in report.levelling),
                  flips=tuple(replace(item, group=hostile) for item in report.flips))  # fmt: skip
    for form in ("html", "markdown", "terminal"):
        written = document(form, Item(odd))
        assert "<b>x" not in written or form == "terminal"
        assert "\x1b" not in written
    assert "<b>x" not in svg(next(charts(people.levelling(odd))).drawing)
