"""Importances that look at every group: known answers, and what they do with a handful of rows."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgefair.compress.steps.pruning import Goal, fairprune, open_importance
from edgefair.compress.steps.pruning.fairgrape import keep_order
from edgefair.compress.steps.pruning.group_effect import group_effect
from edgefair.compress.steps.pruning.sample import batch_gradients, cross_entropy, draw
from edgefair.compress.steps.pruning.step import Prune
from edgefair.compress.steps.pruning.taylor import taylor
from edgefair.compress.steps.pruning.units import find_units
from edgefair.errors import DataError
from tests.compress.steps.prune_cases import CLASSES, any_context, built_in, classifier_of, context_of

MINORITY = [6, 7]
GOAL = Goal("local", budget=0.5, round_to=1)


def two_signals():
    """Eight hidden channels: 0 to 5 read what tells the label of the majority, 6 and 7 that of the minority.

    The minority's channels are the smallest and, with one row in fifty, matter least to the mean loss.
    """
    network = nn.Sequential(nn.Linear(2, 8, bias=False), nn.ReLU(), nn.Linear(8, 2, bias=False))
    sign = torch.tensor([1.0, -1.0] * 4)
    size = torch.tensor([1.1, 1.1, 0.8, 0.8, 0.7, 0.7, 0.5, 0.5])
    of_minority = torch.tensor([False] * 6 + [True] * 2)
    with torch.no_grad():
        network[0].weight.copy_(torch.stack([sign * size * ~of_minority, sign * size * of_minority], dim=1))
        network[2].weight.copy_(torch.stack([-sign * size, sign * size]))
    generator = torch.Generator().manual_seed(0)
    rows = torch.arange(500)
    group, label = (rows % 50 == 0).long(), rows // 50 % 2
    signal = (2 * label - 1) * (0.8 + 0.4 * torch.rand(500, generator=generator))
    x = torch.stack([signal * (group == 0), signal * (group == 1)], dim=1)
    return classifier_of(network, (2,)), context_of(x, group, label, classes=2)


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize(
    ("importance", "survive"), [("magnitude", False), ("taylor", False), ("fairgrape", True), ("fairprune", True)]
)
def test_channels_that_only_the_minority_uses_survive_where_groups_are_looked_at(importance, survive, scope):
    classifier, context = two_signals()
    plan = Prune(0.5, importance=importance, scope=scope, round_to=1).plan(classifier, context)
    gone = set(plan["cut"]["0"]["out"])
    assert len(gone) == 4
    assert gone.isdisjoint(MINORITY) is survive


def test_fairgrape_keeps_every_groups_share_of_the_importance():
    generator = torch.Generator().manual_seed(0)
    importance = torch.rand(3, 60, generator=generator, dtype=torch.float64) ** 3
    importance[0] *= 20
    dense = importance.sum(dim=1) / importance.sum()
    order = keep_order(importance)
    assert sorted(order) == list(range(60))
    for kept in (20, 30, 40):
        fair = importance[:, order[:kept]].sum(dim=1)
        plain = importance[:, importance.sum(dim=0).argsort(descending=True)[:kept]].sum(dim=1)
        assert (fair / fair.sum() - dense).abs().max() < 0.5 * (plain / plain.sum() - dense).abs().max()
        assert fair.sum() > importance.sum() * kept / 60


def test_fairgrape_without_any_importance_keeps_the_first():
    assert keep_order(torch.zeros(2, 4, dtype=torch.float64)) == [0, 1, 2, 3]
    one_sided = torch.tensor([[0.0, 3.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    assert keep_order(one_sided) == [1, 2, 0]


def test_the_curvature_is_the_gauss_newton_diagonal_and_the_loss_that_of_the_true_labels():
    """For logits W x it is, for each weight, the mean of p (1 - p) x^2."""
    torch.manual_seed(0)
    classifier = classifier_of(nn.Linear(3, 2), (3,))
    rows = 8000
    x = torch.randn(rows, 3) + 1.0
    label = (torch.arange(rows) % 3 == 0).long()
    context = context_of(x, torch.zeros(rows).long(), label, groups=("a",), classes=2)
    (whole,) = draw(context.rows.cells, 0, cell_rows=rows)
    found, loss = fairprune.gauss_newton_diagonal(classifier, context, whole)
    logits = classifier(x).detach()
    p = logits.softmax(dim=1)
    curvature = (p * (1 - p)).T
    assert torch.allclose(found["weight"], curvature @ x**2 / rows, rtol=0.2)
    assert torch.allclose(found["bias"], curvature.mean(dim=1), rtol=0.2)
    assert loss == pytest.approx(float(functional.cross_entropy(logits, label)), rel=1e-4)


@pytest.mark.parametrize("name", ["resnet-18", "mobilenet-v2", "convnext-tiny"])
@pytest.mark.parametrize("rows", [5, 60])
def test_gradients_of_networks_in_evaluation_mode_are_those_of_float64(name, rows):
    classifier, x = built_in(name)
    x = x[:rows]
    context = context_of(x, torch.zeros(rows).long(), torch.arange(rows) % CLASSES, groups=("a",))
    (sample,) = draw(context.rows.cells, 0)
    (found,) = batch_gradients(classifier, context, sample, cross_entropy, sample.weight)
    exact = copy.deepcopy(classifier.network).double()
    losses = cross_entropy(exact(x[sample.index].double()), context.rows.cells.label[sample.index])
    expected = torch.autograd.grad(losses @ sample.weight.double(), list(exact.parameters()))
    for (layer, _), gradient in zip(exact.named_parameters(), expected, strict=True):
        # A unit of a ReLU that rounding moves across 0 changes a gradient by up to a hundredth.
        assert (found[layer].double() - gradient).norm() <= 0.02 * gradient.norm() + 1e-6, layer


def test_taylor_counts_every_batch_once():
    classifier, x = built_in("mlp")
    context = any_context(x)
    units, _ = find_units(classifier.network, x[:1])
    loss = functional.cross_entropy(classifier(x), context.rows.cells.label)
    named = dict(classifier.network.named_parameters())
    gradients = dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))
    change = {name: (value * gradients[name]).abs() for name, value in named.items()}
    expected = change["0.weight"].sum(dim=1) + change["0.bias"] + change["2.weight"].sum(dim=0)
    for unit, score in zip(units, taylor(classifier, units, context, GOAL), strict=True):
        if unit.name == "0":
            assert torch.allclose(score, expected.double(), rtol=1e-4)


def test_a_sample_weighs_a_capped_cell_by_what_it_is_of_its_group():
    group = torch.tensor([0] * 90 + [1] * 3)
    label = torch.tensor([0] * 80 + [1] * 10 + [0] * 3)
    first, second = draw(context_of(torch.zeros(93, 1), group, label, classes=2).rows.cells, 0, cell_rows=20)
    assert len(first.index) == 30
    assert first.weight[label[first.index] == 0].sum() == pytest.approx(8 / 9)
    assert first.weight[label[first.index] == 1].sum() == pytest.approx(1 / 9)
    assert len(set(first.index.tolist())) == 30
    assert second.weight.tolist() == pytest.approx([1 / 3] * 3)
    assert second.share == pytest.approx(3 / 93)


@pytest.mark.parametrize("importance", ["magnitude", "taylor", "fairgrape", "fairprune", "random"])
@pytest.mark.parametrize("name", ["resnet-18", "text-transformer"])
def test_a_group_of_two_rows_and_an_empty_cell_give_finite_scores(importance, name):
    classifier, x = built_in(name)
    group = torch.tensor([0] * 38 + [1] * 2)
    label = torch.tensor([i % CLASSES for i in range(38)] + [1, 1])
    context = context_of(x[:40], group, label)
    rank, goal = open_importance(importance, {}), Goal("global", 0.5, 16)
    units, _ = find_units(classifier.network, x[:1])
    scores = rank(classifier, units, context, goal)
    assert all(bool(torch.isfinite(score).all()) for score in scores)
    assert [len(score) for score in scores] == [unit.atoms for unit in units]
    again = rank(classifier, units, context, goal)
    assert all(torch.equal(one, other) for one, other in zip(scores, again, strict=True))
    assert all(value.grad is None for value in classifier.parameters())


@pytest.mark.parametrize("importance", ["taylor", "fairgrape", "fairprune", "adversarial"])
def test_a_group_without_rows_is_refused(importance):
    classifier, x = built_in("mlp")
    rows = torch.arange(len(x))
    context = context_of(x, rows % 2, rows % CLASSES, groups=("a", "b", "nobody"))
    with pytest.raises(DataError, match="nobody"):
        Prune(0.5, importance=importance).plan(classifier, context)


def test_fairprune_with_one_group_is_refused():
    classifier, x = built_in("mlp")
    context = context_of(x, torch.zeros(60).long(), torch.arange(60) % CLASSES, groups=("a",))
    with pytest.raises(DataError, match="one group"):
        Prune(0.5, importance="fairprune").plan(classifier, context)


def test_with_three_groups_fairprune_spares_the_one_that_fares_worst():
    network = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(torch.eye(3))
        network[2].weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [3.0, 3.0, 0.5]]))
    rows = torch.arange(90)
    x = functional.one_hot(rows % 3, 3).float() * (1 + rows[:, None] % 5 / 10)
    context = context_of(x, rows % 3, torch.ones(90).long(), groups=("a", "b", "c"), classes=2)
    classifier = classifier_of(network, (3,))
    units, _ = find_units(network, x[:1])
    (score,) = fairprune.fairprune(classifier, units, context, GOAL, beta=0.5)
    assert int(score.argmax()) == 2
    assert score[2] > 0 > score[:2].max()


def test_group_effect_is_what_gates_on_the_channels_would_do_to_the_loss_of_every_group():
    classifier, context = two_signals()
    units, _ = find_units(classifier.network, torch.zeros(1, 2))
    (found,) = group_effect(classifier, units, context, GOAL, beta=0.5)
    cells, gates = context.rows.cells, torch.ones(8, requires_grad=True)
    effects = []
    for sample in draw(cells, context.seed):
        total = torch.zeros(8)
        for piece, weight in zip(torch.split(sample.index, 64), torch.split(sample.weight, 64), strict=True):
            (x,) = next(context.rows.batches(piece, len(piece)))
            hidden = torch.relu(classifier.network[0](x)) * gates
            loss = cross_entropy(classifier.network[2](hidden), cells.label[piece]) @ weight
            # The weights before a channel and behind it say the same, and both leave.
            total += 2 * torch.autograd.grad(loss, gates)[0].abs()
        effects.append(total)
    mean = 0.98 * effects[0] + 0.02 * effects[1]
    expected = mean + 0.5 * (torch.stack(effects) - mean).clamp(min=0).amax(dim=0)
    assert torch.allclose(found.float(), expected, rtol=1e-4)


def test_group_effect_spares_what_only_the_minority_uses_where_the_gap_counts():
    classifier, context = two_signals()
    units, _ = find_units(classifier.network, torch.zeros(1, 2))
    weakest = {
        beta: set(group_effect(classifier, units, context, GOAL, beta=beta)[0].argsort()[:4].tolist())
        for beta in (0.0, 2.0)
    }
    assert weakest[0.0].issuperset(MINORITY)
    assert weakest[2.0].isdisjoint(MINORITY)


def test_group_effect_removes_whole_heads_and_intermediate_units_of_a_text_network():
    classifier, x = built_in("text-transformer")
    context = any_context(x)
    step = Prune(0.5, importance="group-effect", round_to=1)
    plan = step.plan(classifier, context)
    step.apply(classifier, plan)
    layer = classifier.network.model.bert.encoder.layer[0]
    assert layer.attention.self.query.out_features in {8, 16, 24}, "heads of 8 channels leave as a whole"
    assert layer.intermediate.dense.out_features < 128
    assert classifier(x).shape == (60, CLASSES)
