"""Adversarial pruning: the budget, the game, and frozen weights."""

import copy

import pytest
import torch
from torch import nn

from edgefair.compress.steps.game import Adversary
from edgefair.compress.steps.pruning import Goal
from edgefair.compress.steps.pruning import adversarial as module
from edgefair.compress.steps.pruning.adversarial import adversarial
from edgefair.compress.steps.pruning.magnitude import magnitude
from edgefair.compress.steps.pruning.statistics import renew_statistics
from edgefair.compress.steps.pruning.step import Prune
from edgefair.compress.steps.pruning.units import find_units
from edgefair.errors import UsageError
from tests.compress.steps.prune_cases import any_context, built_in, classifier_of, context_of

FAST = Adversary(steps=8, batch_rows=16)
GOAL = Goal("local", budget=0.5, round_to=1)


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("name", ["resnet-18", "vit-small"])
def test_the_gates_keep_the_falling_budget_and_so_does_the_plan(monkeypatch, name, scope):
    shares = []

    class Watched(module.Gates):
        def __call__(self, features, gates):
            shares.append(float(self.macs(gates).detach()))
            return super().__call__(features, gates)

    monkeypatch.setattr(module, "Gates", Watched)
    classifier, x = built_in(name)
    classifier.train()
    step = Prune(0.5, importance="adversarial", scope=scope, adversary=FAST)
    plan = step.plan(classifier, any_context(x))
    assert len(shares) == FAST.steps
    budgets = [1 - 0.5 * min(1.0, step / (module.ANNEAL * FAST.steps)) for step in range(1, FAST.steps + 1)]
    assert all(0.7 * budget < share <= budget for share, budget in zip(shares, budgets, strict=True))
    assert shares[0] > shares[2] > shares[-1]
    assert 0.4 * plan["before"]["macs"] < plan["after"]["macs"] <= 0.5 * plan["before"]["macs"]
    assert not classifier.training
    assert all(value.grad is None for value in classifier.parameters())
    step.apply(classifier, plan)
    with torch.no_grad():
        assert classifier(x).shape == (60, 3)


def test_weights_move_unless_they_are_frozen_and_scores_are_learned_either_way():
    for frozen in (False, True):
        classifier, x = built_in("mlp")
        units, _ = find_units(classifier.network, x[:1])
        before = copy.deepcopy(classifier.state_dict())
        settings = Adversary(steps=8, batch_rows=16, frozen=frozen)
        found = [
            adversarial(copy.deepcopy(classifier), units, any_context(x), GOAL, adversary=settings) for _ in range(2)
        ]
        assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
        start = magnitude(classifier, units, any_context(x), GOAL)
        assert not any(torch.allclose(score, first) for score, first in zip(found[0], start, strict=True))
        adversarial(classifier, units, any_context(x), GOAL, adversary=settings)
        same = [torch.equal(value, before[name]) for name, value in classifier.state_dict().items()]
        assert all(same) if frozen else not any(same)


@pytest.mark.parametrize("scope", ["local", "global"])
def test_what_a_channel_costs_does_not_move_its_score(scope):
    classifier, x = built_in("resnet-18")
    units, _ = find_units(classifier.network, x[:1])
    with torch.no_grad():
        for value in list(classifier.network.modules())[-1].parameters():
            value.zero_()
    start = magnitude(classifier, units, any_context(x), GOAL)
    settings = Adversary(steps=4, batch_rows=16, frozen=True)
    found = adversarial(classifier, units, any_context(x), Goal(scope, 0.3, 1), adversary=settings)
    assert all(torch.equal(score.float(), first.float()) for score, first in zip(found, start, strict=True))


def test_channels_that_betray_the_group_lose_to_those_that_tell_the_label_fairly():
    """Channels 0 to 3 read the group, which goes with the label; 4 to 7 read a signal that is as good and fair."""
    generator = torch.Generator().manual_seed(0)
    group = torch.randint(2, (600,), generator=generator)
    label = torch.where(torch.rand(600, generator=generator) < 0.8, group, 1 - group)
    fair = torch.where(torch.rand(600, generator=generator) < 0.8, label, 1 - label)
    x = torch.stack([2.0 * group - 1, 2.0 * fair - 1], dim=1)
    kept = {}
    for weight in (0.0, 3.0):
        network = nn.Sequential(nn.Linear(2, 8, bias=False), nn.ReLU(), nn.Linear(8, 2, bias=False))
        sign = torch.tensor([1.0, -1.0] * 4)
        with torch.no_grad():
            network[0].weight.copy_(torch.stack([sign * (torch.arange(8) < 4), sign * (torch.arange(8) >= 4)], dim=1))
            network[2].weight.copy_(torch.stack([-sign, sign]) * 0.5)
        settings = Adversary(steps=150, batch_rows=64, weight=weight, frozen=True, score_rate=0.02)
        step = Prune(0.5, importance="adversarial", round_to=1, adversary=settings)
        plan = step.plan(classifier_of(network, (2,)), context_of(x, group, label, classes=2))
        kept[weight] = set(range(8)) - set(plan["cut"]["0"]["out"])
    assert kept[3.0] == {4, 5, 6, 7}
    assert kept[0.0] != kept[3.0]


def test_adversarial_frozen_is_the_game_that_leaves_every_weight_as_it_is():
    classifier, x = built_in("resnet-18")
    before = {name: value.clone() for name, value in classifier.named_parameters()}
    plan = Prune(0.5, importance="adversarial-frozen", adversary=FAST).plan(classifier, any_context(x))
    assert plan["importance"] == "adversarial-frozen"
    assert plan["after"]["macs"] <= 0.5 * plan["before"]["macs"]
    assert all(torch.equal(value, before[name]) for name, value in classifier.named_parameters())


def test_statistics_are_measured_anew_and_nothing_else_changes():
    classifier, x = built_in("resnet-18")
    before = copy.deepcopy(classifier.state_dict())
    norm = next(module for module in classifier.network.modules() if isinstance(module, nn.BatchNorm2d))
    seen = []
    norm.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    momentum = norm.momentum
    # 60 rows in batches of 59: the last row has no variance.
    renew_statistics(classifier, any_context(x).rows, 59)
    assert torch.allclose(norm.running_mean, seen[0].mean(dim=(0, 2, 3)), atol=1e-5)
    assert torch.allclose(norm.running_var, seen[0].var(dim=(0, 2, 3)), rtol=1e-3)
    assert len(seen) == 1
    assert not classifier.training
    assert not norm.training
    assert norm.momentum == momentum
    changed = {name for name, value in classifier.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.rsplit(".", 1)[1] in {"running_mean", "running_var", "num_batches_tracked"} for name in changed)


@pytest.mark.parametrize("options", [{"steps": 0}, {"batch_rows": 1}, {"score_rate": 0.0}, {"weight": -1.0}])
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(UsageError):
        Adversary(**options)
