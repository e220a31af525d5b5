"""The report of a study says what was planted in its table, and no more than its seeds can carry."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from edgefair.errors import DataError, UsageError
from edgefair.measure.counts import GroupCounts
from edgefair.report.results.study import StudyReport
from edgefair.report.study import words
from edgefair.study.contrasts import ALPHA
from edgefair.study.findings.balance import shares_of
from edgefair.study.findings.build import study_report
from edgefair.study.findings.folder import read_study
from edgefair.study.power import EFFECT, power
from edgefair.study.table import from_parquet, to_parquet
from tests.study.drawn import PLAN, SD, SIMULATED, plan_of, simulated, table_of

SMALL = PLAN.replace("[0, 0.1, 0.2]", "[0, 0.2]").replace("prune 0.5, ", "")
AT = "noise 0; keep all; thin none; extent {}; treatment {}".format


@cache
def whole(failed=(5,)):
    plan = plan_of(SMALL)
    rows = table_of(plan, failed=failed)
    return plan, rows, study_report(plan, rows, replicates=40)


def found(report, name, response="gap"):
    return next(item for item in report.findings if (item.name, item.response) == (name, response))


def test_a_report_finds_what_was_planted_and_bounds_what_was_not():
    _, _, report = whole()
    assert found(report, "before minus label-balance, extent none").is_effect
    assert found(report, "(before minus label-balance), none minus finetune-only").is_effect
    assert found(report, "slope per 10 % of noise, extent none", "worst_balanced").mean < -0.01
    int8 = found(report, "int8 minus none, treatment none")
    assert int8.claim == "no effect above delta"
    assert int8.sentence.endswith("no effect larger than 0.1 points.")
    assert all(item.planned for item in report.findings)


def test_failed_and_collapsed_cells_are_counted_and_leave_their_contrasts():
    plan, rows, report = whole()
    assert (report.cells, report.done, report.failed, report.not_run) == (len(plan.cells), len(rows) - 1, 1, 0)
    assert report.failures[0].error == "the fine-tune diverged: loss is nan"
    levels = {level.condition: level for level in report.levels}
    assert len(levels) == len({cell.condition for cell in plan.cells})
    assert levels[AT("prune 0.95", "none")].collapsed == 8
    assert report.collapsed == sum(level.collapsed for level in levels.values()) == 48
    gone = found(report, "prune 0.95 minus finetune-only, treatment none")
    assert (gone.mean, gone.collapsed, gone.claim) == (None, tuple(range(8)), "no claim")
    assert found(report, "before minus none, extent finetune-only").missing == (0,)


def test_an_incomplete_study_says_so_and_claims_nothing_however_clear_it_looks():
    plan, rows, _ = whole()
    report = study_report(plan, rows[:-1], replicates=40)
    assert not report.complete
    assert words.headline(report).startswith(f"Incomplete: {len(rows) - 1} of {len(rows)} cells")
    assert {item.claim for item in report.findings} == {"no claim"}
    sentence = found(report, "before minus none, extent none").sentence
    assert sentence.endswith("points: no claim before the whole study has run.")
    assert not any("an effect" in item.sentence for item in report.findings)
    assert all(level.not_run == (level.condition == plan.cells[-1].condition) for level in report.levels)


def test_three_seeds_claim_nothing_and_say_how_many_would():
    plan = plan_of(SMALL, seeds=3)
    report = study_report(plan, table_of(plan), replicates=40)
    assert words.headline(report) == "No claim: 3 seeds of the 6 that one needs"
    assert {item.claim for item in report.findings} == {"no claim"}
    assert "no claim at 2 points" in words.title(report, report.response("gap"), report.findings)
    assert any("seeds: 6" in step for step in words.steps(report))


def test_a_study_of_no_rows_yet_is_a_report_too():
    plan, _, _ = whole()
    report = study_report(plan, (), replicates=40)
    assert (report.done, report.not_run) == (0, report.cells)
    assert {item.mean for item in report.findings} == {None}
    assert all(item.why_none for item in report.shares)


def test_shares_are_of_a_balanced_design_that_names_what_it_leaves_out():
    plan, rows, report = whole()
    gap, worst = report.shares
    assert gap.left_out == (
        "extent prune 0.95, where models collapsed",
        "treatment during, which some extents cannot have",
        "seeds that lack cells (0)",
    )
    assert gap.seeds == 7
    assert "extent prune 0.95" not in str(worst.left_out)
    by = {item.factors: item for item in gap.shares}
    assert by["treatment",].share > by["noise",].share > by["noise",].chance > 0
    assert all(item.limits[0] <= item.share + 1e-9 or item.share < 0.05 for item in gap.shares)
    none = shares_of(plan, [row for row in rows if row.seed < 2], "gap", replicates=0)
    assert none.why_none == "fewer than two seeds have all cells of a balanced design"


def test_an_effect_of_nothing_has_the_share_that_chance_gives_on_the_average():
    plan = plan_of(SIMULATED)
    tables = [simulated(plan, {}, study) for study in range(30)]
    shares = [shares_of(plan, rows, "gap", replicates=0).shares[0] for rows in tables]
    assert np.mean([item.share for item in shares]) == pytest.approx(np.mean([item.chance for item in shares]), rel=0.3)


def test_flips_and_gains_are_means_over_seeds_of_the_counts():
    _, rows, report = whole()
    condition = AT("prune 0.95", "none")
    own = [row for row in rows if row.condition == condition]
    rates = [next(cell for cell in json.loads(row.flips)["dense"] if (cell["group"], cell["label"]) == ("Male", "yes"))
             for row in own]  # fmt: skip
    cell = next(item for item in report.flips if (item.condition, item.group, item.label) == (condition, "Male", "yes"))
    assert cell.flipped == pytest.approx(np.mean([item["flipped"] / item["rows"] for item in rates]))
    change = next(item for item in report.levelling if item.condition == condition)
    assert (change.best, change.worst) == ("Male", "Female")
    before = [row for row in rows if row.condition == AT("none", "none")]

    def male(some):
        return np.mean([np.trace(table) / 2000 for row in some
                        for table in [GroupCounts.from_json(json.loads(row.counts)).table[1]]])  # fmt: skip

    assert change.best_change == pytest.approx(male(own) - male(before))
    assert change.best_change < change.worst_change < 0


def test_a_report_is_read_back_as_it_was():
    _, _, report = whole()
    assert StudyReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_a_folder_is_read_and_a_table_of_another_plan_is_refused(tmp_path):
    plan, rows, _ = whole()
    with pytest.raises(UsageError, match="holds no study"):
        read_study(tmp_path)
    (tmp_path / "plan.yaml").write_text(SMALL)
    with pytest.raises(UsageError, match="no cell has been measured"):
        read_study(tmp_path)
    (tmp_path / "table.parquet").write_bytes(to_parquet(rows))
    found_plan, found_rows = read_study(tmp_path)
    assert found_plan == plan
    assert set(found_rows) == set(rows)
    (tmp_path / "plan.yaml").write_text(SMALL.replace("seeds: 8", "seeds: 9"))
    with pytest.raises(DataError, match="changed after the run"):
        read_study(tmp_path)


def test_rows_that_cannot_be_are_refused():
    plan, rows, _ = whole()
    stranger = replace(rows[0], cell="extent int4; seed 0")
    with pytest.raises(DataError, match="a cell that the plan does not have"):
        study_report(plan, [stranger, *rows[1:]])
    for column, wrong in (("flips", '{"dense": [{}]}'), ("counts", "{")):
        with pytest.raises(DataError, match=f"{column}"):
            study_report(plan, [replace(rows[0], **{column: wrong}), *rows[1:]], replicates=4)


PLANTED = {("prune 0.8", "gap"): 0.03, ("prune 0.95", "worst_balanced"): -EFFECT}


def played(studies, effects):
    """Shares of studies, through the whole analysis, that find what was planted in the gap, that find something where
    nothing was, and that exclude what is there at delta."""
    plan = plan_of(SIMULATED)
    true = false = excluded = 0
    for study in range(studies):
        rows = from_parquet(to_parquet(simulated(plan, effects, study)))
        report = study_report(plan, rows, replicates=0)
        own = [item for item in report.findings if item.family == "extent"]
        planted = {(item.at["extent"], item.response): item for item in own}
        true += planted["prune 0.8", "gap"].is_effect
        false += any(item.is_effect for key, item in planted.items() if key not in effects)
        excluded += planted["prune 0.95", "worst_balanced"].claim in {"small effect", "no effect above delta"}
    return true / studies, false / studies, excluded / studies


def within(share, promised, studies):
    return share <= promised + 3 * np.sqrt(promised * (1 - promised) / studies)


def test_a_study_finds_the_planted_effect_and_hardly_ever_another():
    true, false, excluded = played(12, PLANTED | {("prune 0.8", "gap"): 0.08})
    assert true == 1
    assert within(false, ALPHA, 12)
    assert within(excluded, ALPHA, 12)


@pytest.mark.long
def test_a_study_has_the_power_that_it_promises_and_false_findings_below_alpha_over_the_family():
    studies, tests = 800, 10
    error = 3 * np.sqrt(0.25 / studies)
    true, false, excluded = played(studies, PLANTED)
    # Holm asks at least alpha and at most alpha / tests of the one planted effect; the sign flips may cost a little.
    alone, least = (power(10, sd=SD, effect=0.03, alpha=level) for level in (ALPHA, ALPHA / tests))
    assert least - error - 0.03 <= true <= alone + error
    assert within(false, ALPHA, studies)
    assert within(excluded, ALPHA, studies)
    nothing = played(studies, {})
    assert within(nothing[0], ALPHA, studies)
    assert within(nothing[1], ALPHA, studies)
