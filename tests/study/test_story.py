"""A whole study on a table that is drawn: from its plan to its sentences."""

import json

import numpy as np
import pytest

from edgefair.measure.counts import GroupCounts
from edgefair.study.bootstrap import crossed
from edgefair.study.contrasts import estimates
from edgefair.study.planned import planned_contrasts
from edgefair.study.reading import plan_digest, read_plan
from edgefair.study.responses import decided
from edgefair.study.sentences import sentences
from edgefair.study.table import Row, from_parquet, tables_of, to_parquet, values_of
from edgefair.study.variance import cube, shares

PLAN = """
study: drawn
factors:
  extent: [none, finetune-only, int8, prune 0.8]
  treatment: [none, label-balance, before]
seeds: 9
"""
# Gap that a treatment leaves: one given before is lost by the fine-tune, and pruning adds nothing.
LEFT = {"none": 0.3, "label-balance": 0.25, "before": 0.05}


def row_of(cell, digest):
    rng = np.random.default_rng(cell.seed)
    shared, own = rng.normal(0, 0.02), np.random.default_rng([cell.seed, 7]).normal(0, 0.004)
    treatment = str(cell.treatment)
    tuned = cell.extent.training == "finetune"
    gap = (0.24 if tuned and treatment == "before" else LEFT[treatment]) + shared + (own if tuned else 0)
    positive = np.round(2000 * np.array([[0.2, 0.8 - gap], [0.2, 0.8]])).astype(np.int64)
    counts = GroupCounts(("sex",), (("f",), ("m",)), ("no", "yes"), np.stack([2000 - positive, positive], axis=2))
    found = decided(counts)
    return Row(
        study="drawn", plan=digest, cell=cell.key, condition=cell.condition, seed=cell.seed, status="done",
        extent=str(cell.extent), treatment=treatment, counts=json.dumps(counts.to_json()), **vars(found),
    )  # fmt: skip


@pytest.fixture(scope="module")
def plan():
    return read_plan(PLAN)


@pytest.fixture(scope="module")
def rows(plan):
    digest = plan_digest(plan)
    return from_parquet(to_parquet([row_of(cell, digest) for cell in plan.cells]))


def test_a_study_says_what_was_planted_and_no_more(plan, rows):
    responses = [values_of(rows, name) for name in plan.responses]
    found = estimates(planned_contrasts(plan), responses, plan.blocks)
    said = dict(zip([(item.response, item.contrast.name) for item in found], sentences(found), strict=True))
    assert said["gap", "int8 minus none, treatment none"].endswith("no effect larger than 0.1 points.")
    assert "no effect larger than 0.1" in said["gap", "prune 0.8 minus finetune-only, treatment before"]
    assert "an effect (p" in said["gap", "before minus label-balance, extent none"]
    undone = next(item for item in found if item.contrast.family == "undoing" and item.contrast.name.endswith("only"))
    assert undone.found
    planted = {
        item.contrast.name
        for item in found
        if item.found and item.response == "gap" and item.contrast.family == "extent"
    }
    assert planted == {f"{name} minus finetune-only, treatment before" for name in ("none", "int8")}


def test_its_shares_and_its_floors_come_from_the_same_table(plan, rows):
    y, levels = cube(rows, "gap", ["extent", "treatment"])
    assert set(levels["treatment"]) == set(LEFT)
    by = {item.factors: item.generalized for item in shares(y, ["extent", "treatment"])}
    assert by["treatment",] > by["extent",] > 0
    floors = crossed(tables_of(rows, plan.cells[0].condition), replicates=300)
    assert floors.over_both[0] < 0.3 < floors.over_both[1]
