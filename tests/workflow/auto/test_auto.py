"""`edgefair train --auto`: what it finds where unfairness has a known cause, and says where nothing can."""

import dataclasses
import json

import numpy as np
import pytest

from edgefair.config import parse_config
from edgefair.debias import recipes
from edgefair.errors import UsageError
from edgefair.measure.counts import GroupCounts
from edgefair.progress import Progress
from edgefair.training.run import load_run
from edgefair.workflow.auto import search
from edgefair.workflow.auto.notes import notes_of_search
from edgefair.workflow.auto.reach import reach_of
from edgefair.workflow.auto.search import auto
from edgefair.workflow.training import operating_point
from tests.workflow.small_project import project

ROWS = 2400


def leaking(seed=0, *, skill=1.2):
    """The label follows `skill`; `leak` tells the group, and in training rows the groups have other base rates."""
    random = np.random.default_rng(seed)
    part = random.choice(["train", "validation", "audit"], ROWS, p=[0.6, 0.3, 0.1])
    woman = random.random(ROWS) < 0.5
    hired = random.random(ROWS) < np.where(woman, 0.25, 0.75)
    return {
        "a": np.where(hired, 1.0, -1.0) + skill * random.normal(size=ROWS),
        "b": np.where(woman, -1.0, 1.0) + 0.5 * random.normal(size=ROWS),
        "sex": np.where(woman, "F", "M"),
        "hired": np.where(hired, "yes", "no"),
        "part": part,
        "id": [f"person {row}" for row in range(ROWS)],
    }


@pytest.fixture(autouse=True)
def few_recipes(monkeypatch):
    """The mildest two are enough to choose between, two budgets to see that there are several, and few thresholds."""
    few = {name: recipes.RECIPES[name] for name in ("plain", "reweigh")}
    monkeypatch.setattr(search, "RECIPES", few)
    monkeypatch.setattr(search, "RUNGS", 2)
    monkeypatch.setattr(operating_point, "QUANTILES", 8)


def configured(folder, *, floor, gap=0.1, columns=None):
    policy = {"attributes": {"sex": {"groups": ["F", "M"]}}, "max_eo_gap": gap, "min_balanced_accuracy": floor}
    model, train = {"options": {"hidden": [8]}}, {"epochs": 2, "batch_rows": 64, "learning_rate": 0.02, "aim": 0.8}
    return project(folder, columns or leaking(), policy=policy, model=model, train=train)[0]


def test_where_the_untreated_model_fails_it_finds_a_treatment_and_a_threshold_that_keep_every_gate(tmp_path):
    told = []
    config = configured(tmp_path, floor=0.6)
    run = auto(config, name="auto", progress=Progress(lambda done, total, what: told.append((total, what))))
    found = run.metrics["auto"]
    plain, *others = found["trials"]
    assert plain["recipe"] == "plain"
    assert not all(gate["kept"] for gate in plain["gates"])
    assert found["chosen"] == "reweigh"
    assert all(item["kept"] for item in found["reach"])
    assert {trial["epochs"] for trial in others} == {2, 6}
    best = max(found["trials"], key=lambda trial: trial["rank"])
    assert run.model.threshold == run.spec.reading.threshold == best["threshold"]
    # What is counted is what the threshold in the file decides.
    table = GroupCounts.from_json(run.metrics["validation"]).table
    rates = table[:, :, 1] / table.sum(axis=2)
    gap = next(item["chosen"] for item in found["reach"] if item["gate"] == "eo_gap")
    assert np.ptp(rates, axis=0).max() == pytest.approx(gap)
    assert len([what for total, what in told if not total and "balanced accuracy" in what]) == len(found["trials"])
    # It is returned as it is, and another one under its name refused.
    assert auto(config, name="auto").metrics == json.loads(json.dumps(run.metrics))
    with pytest.raises(UsageError, match="other settings"):
        auto(config.model_copy(update={"seed": 1}), name="auto")


def test_what_nothing_reaches_is_said_with_how_much_is_lacking(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "RUNGS", 1)
    config = configured(tmp_path, floor=0.99)
    run = auto(config, name="auto")
    floor = next(item for item in run.metrics["auto"]["reach"] if item["gate"] == "balanced_accuracy_floor")
    assert not floor["attainable"]
    assert floor["lacking"] == pytest.approx(0.99 - floor["alone"])
    assert 0 < floor["lacking"] < 0.5
    (said,) = notes_of_search(config, "auto")
    assert f"{floor['alone']:.4f}, {floor['lacking']:.4f} from its aim of 0.99" in said


def test_an_untreated_model_that_is_shown_to_pass_is_left_untreated(tmp_path):
    columns = leaking() | {"b": np.zeros(ROWS)}
    run = auto(configured(tmp_path, floor=0.6, gap=0.3, columns=columns), name="auto")
    assert [trial["recipe"] for trial in run.metrics["auto"]["trials"]] == ["plain"]
    assert load_run(run.folder).settings["debias"] == []


def test_methods_of_the_config_are_not_thrown_away(tmp_path):
    config = configured(tmp_path, floor=0.6)
    config = parse_config({**config.model_dump(mode="json"), "debias": {"train": ["reweigh"]}}, base=tmp_path)
    with pytest.raises(UsageError, match="reweigh is configured"):
        auto(config, name="auto")


def test_reach_is_the_best_of_every_gate_alone_and_beside_the_others():
    def gate(name, direction, estimate, goal, kept):
        return {"gate": name, "direction": direction, "estimate": estimate, "goal": goal, "threshold": goal,
                "kept": kept, "shown": False}  # fmt: skip

    fair = [gate("eo_gap", "at_most", 0.01, 0.05, True), gate("floor", "at_least", 0.6, 0.7, False)]
    good = [gate("eo_gap", "at_most", 0.09, 0.05, False), gate("floor", "at_least", 0.8, 0.7, True)]
    gap, floor = (dataclasses.asdict(item) for item in reach_of([fair, good], good))
    assert (gap["chosen"], gap["alone"], gap["beside"]) == (0.09, 0.01, 0.09)
    assert (floor["chosen"], floor["alone"], floor["beside"]) == (0.8, 0.8, 0.6)
