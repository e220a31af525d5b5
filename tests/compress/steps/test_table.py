"""The tables of steps and importances, and what everything in them must be able to do."""

import pkgutil
from itertools import combinations

import pytest
import torch

from edgefair.compress.config import STEPS, CompressConfig
from edgefair.compress.names import IMPORTANCE_OPTIONS, IMPORTANCES, LAST, step_name
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.steps.base import Project
from edgefair.compress.steps.game import Adversary
from edgefair.compress.steps.pruning import Goal, open_importance
from edgefair.compress.steps.pruning.step import Prune
from edgefair.compress.steps.pruning.units import find_units
from edgefair.errors import UsageError
from edgefair.training.settings import TrainPlan
from tests.compress.steps.prune_cases import any_context, built_in

ASKED = {
    "finetune_only": True,
    "prune": 0.5,
    "low_rank": 0.5,
    "sparsity": 0.5,
    "cluster": 8,
    "ticket": {"keep": 0.3},
    "qat": True,
}


def recipe():
    return CalibrationRecipe(name="any", method="minmax")


def project(*, has_clock=False):
    return Project(TrainPlan(epochs=8, batch_rows=64), "board", has_clock, recipe, reduce_range=False)


def asking_for(*keys, **more):
    return CompressConfig(int8="static", **{key: ASKED[key] for key in keys}, **more)


@pytest.mark.parametrize("key", STEPS)
def test_a_step_makes_its_stage_where_its_key_is_given_and_none_where_it_is_not(key):
    step = pkgutil.resolve_name(STEPS[key])
    assert list(step.from_config(CompressConfig(), project())) == []
    (stage,) = step.from_config(asking_for(key), project())
    assert stage.name == step_name(key)
    assert isinstance(stage.step, step)


def test_steps_are_carried_out_in_the_order_of_their_keys():
    assert list(STEPS) == ["finetune_only", "prune", "low_rank", "sparsity", "cluster", "ticket", "qat"]
    assert asking_for("qat", "prune").steps == ("prune", "qat")


@pytest.mark.parametrize(("first", "then"), list(combinations(STEPS, 2)))
def test_what_training_would_undo_is_followed_by_no_step(first, then):
    if "ticket" in {first, then} and first not in LAST:
        other = then if first == "ticket" else first
        with pytest.raises(ValueError, match=f"ticket leaves random weights untrained, and {other} would train them"):
            asking_for(first, then)
        return
    if first not in LAST:
        assert asking_for(first, then).steps == (first, then)
        return
    with pytest.raises(ValueError, match=f"{first} and {then} contradict each other: {LAST[first]}"):
        asking_for(first, then)


def test_rounds_of_pruning_remove_equal_shares_share_the_epochs_and_only_the_last_is_told():
    stages = list(Prune.from_config(asking_for("prune", rounds=2), project()))
    assert [(stage.name, stage.goes_on) for stage in stages] == [("prune-1", True), ("prune", False)]
    assert [stage.settings["ratio"] for stage in stages] == [pytest.approx(1 - 0.5**0.5), 0.5]
    assert [stage.train.epochs for stage in stages] == [4, 8]


def test_a_latency_is_reached_on_a_target_with_a_clock_only():
    asked = asking_for("prune", measure="latency")
    (stage,) = Prune.from_config(asked, project(has_clock=True))
    assert stage.settings["target"] == "board"
    with pytest.raises(UsageError, match="'board' does not measure latency"):
        list(Prune.from_config(asked, project()))


def test_the_game_of_channels_is_what_the_config_says_and_its_own_where_it_says_nothing():
    game = {"target": "parity", "weight": 0.5, "steps": 7, "score_rate": 0.1}
    asked = CompressConfig(prune=0.5, importance="adversarial", adversary=game)
    (stage,) = Prune.from_config(asked, project())
    assert stage.settings["adversary"] == {**game, "batch_rows": 128, "learning_rate": 0.001}
    assert Adversary(**stage.settings["adversary"]) == Adversary(7, 128, 0.5, "parity", 0.001, 0.1)
    (stage,) = Prune.from_config(CompressConfig(prune=0.5, importance="adversarial"), project())
    assert "adversary" not in stage.settings


@pytest.mark.parametrize("name", IMPORTANCES)
def test_an_importance_has_a_number_for_every_channel_and_takes_the_options_of_its_own(name):
    classifier, x = built_in("mlp")
    units, _ = find_units(classifier.network, x[:1])
    options = {key: getattr(CompressConfig(), key) for key in IMPORTANCE_OPTIONS.get(name, ())}
    if name.startswith("adversarial"):
        options["adversary"] = Adversary(steps=2)
    scores = open_importance(name, options)(classifier, units, any_context(x), Goal("local", 0.5, 1))
    assert [(score.dtype, len(score)) for score in scores] == [(torch.float64, unit.atoms) for unit in units]
    with pytest.raises(UsageError, match="has no option 'luck'"):
        Prune(0.5, importance=name, luck=1)
