"""Single weights of a random network: which stay is learned, fairly if asked, and none is trained."""

import json

import pytest
import torch
from torch import nn

from edgefair.compress.config import CompressConfig
from edgefair.compress.steps.game import Adversary
from edgefair.compress.steps.ticket import Ticket
from edgefair.errors import ModelError, UsageError
from tests.compress.tiny_networks import any_rows, classifier_of, context_of, rows_of

QUICK = Adversary(steps=6, batch_rows=16, frozen=True)


def perceptron(width=48):
    torch.manual_seed(0)
    layers = [nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)]
    return classifier_of(nn.Sequential(*layers), 2)


def leaking(rows=800):
    """The first feature tells the group, the second the label; label and group go together."""
    generator = torch.Generator().manual_seed(0)
    group = torch.randint(2, (rows,), generator=generator)
    label = torch.where(torch.rand(rows, generator=generator) < 0.75, group, 1 - group)
    noise = torch.randn(rows, 2, generator=generator)
    return rows_of(torch.stack([2.0 * group - 1, 2.0 * label - 1], dim=1) + noise, label, group)


def outcome(network, rows):
    """Accuracy, and the difference of the groups' rates of decision 1."""
    inputs = next(rows.batches(torch.arange(len(rows)), len(rows)))
    with torch.no_grad():
        decided = network.eval()(*inputs).argmax(1)
    label, group = rows.cells.label, rows.cells.group
    rates = [float(decided[group == g].float().mean()) for g in (0, 1)]
    return float((decided == label).float().mean()), abs(rates[0] - rates[1])


def test_a_share_of_every_layer_stays_with_the_signs_of_the_random_weights_and_one_size():
    one, before = perceptron(), perceptron()
    plan = json.loads(json.dumps(Ticket(0.3, adversary=QUICK).plan(one, context_of(any_rows(2)))))
    assert plan["layers"] == {"0": [96, 29], "2": [2304, 691], "4": [96, 29]}
    assert (plan["weights"], plan["stay"]) == (2496, 749)
    for layer in (0, 2, 4):
        weight, random = one.network[layer].weight.detach(), before.network[layer].weight.detach()
        size = (2 / (0.3 * weight.shape[1])) ** 0.5
        stays = weight != 0
        assert int(stays.sum()) == plan["layers"][str(layer)][1]
        assert torch.allclose(weight[stays], size * random[stays].sign())
        assert torch.equal(one.network[layer].bias, before.network[layer].bias)
    again = perceptron()
    Ticket(0.3, adversary=QUICK).plan(again, context_of(any_rows(2)))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in one.state_dict().items())


def test_a_random_network_learns_its_task_by_what_it_leaves_out_and_parity_by_an_adversary_without_the_label():
    rows, found = leaking(), {}
    untouched = outcome(perceptron(), rows)[0]
    for weight in (0.0, 4.0):
        one = perceptron()
        game = Adversary(steps=200, batch_rows=100, weight=weight, target="parity", score_rate=0.01, frozen=True)
        Ticket(0.3, adversary=game).plan(one, context_of(rows))
        found[weight] = outcome(one, rows)
    assert found[0.0][0] > max(0.8, untouched + 0.1)
    assert found[4.0][1] < found[0.0][1] / 2
    assert found[4.0][0] > 0.6


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="ticket keeps 1"):
        Ticket(1.0)
    with pytest.raises(ModelError, match=r"'2' has 2 weights, and a ticket of 0\.1 leaves 0"):
        Ticket(0.1).check(classifier_of(nn.Sequential(nn.Linear(9, 1), nn.ReLU(), nn.Linear(1, 2)), 9))
    with pytest.raises(ModelError, match="no layer whose weights can be chosen"):
        Ticket(0.5).check(classifier_of(nn.Sequential(nn.BatchNorm1d(2)), 2))
    with pytest.raises(ValueError, match="ticket leaves random weights untrained, and prune would train them"):
        CompressConfig.model_validate({"prune": 0.5, "ticket": {"keep": 0.3}})
    with pytest.raises(ValueError, match="adversary needs `importance: adversarial or adversarial-frozen`"):
        CompressConfig.model_validate({"prune": 0.5, "adversary": {"weight": 0}})
