"""Group-wise SAM: the gradient that its equation says, and networks of every kind."""

import copy

import pytest
import torch
from torch import nn

from edgefair.debias import open_methods
from edgefair.debias.base import Surroundings
from edgefair.debias.group_sam import GroupSam
from edgefair.errors import UsageError
from edgefair.training.engine import Engine
from edgefair.training.passes.statistics import frozen_statistics
from edgefair.training.step import set_gradients

GROUP = torch.tensor([0, 0, 1, 1])
LABEL = torch.tensor([0, 1, 0, 1])


def test_the_gradient_is_taken_at_the_end_of_each_groups_own_step():
    x = torch.tensor([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0], [-1.0, 1.0]])
    weight = nn.Parameter(torch.tensor([[0.3, -0.2], [0.1, 0.4]]))
    rows = torch.tensor([1.0, 2.0, 1.0, 0.5])

    def loss(at, group):
        losses = nn.functional.cross_entropy(x @ at.T, LABEL, reduction="none") * rows
        return losses[group == GROUP].sum() / 4

    def gradient(at, group):
        at = at.detach().requires_grad_()
        return torch.autograd.grad(loss(at, group), at)[0]

    expected = torch.zeros(2, 2)
    for group in (0, 1):
        direction = gradient(weight, group)
        expected += gradient(weight + 0.3 * direction / direction.norm(), group)
    before = weight.detach().clone()
    around = Surroundings(
        [weight], lambda: x @ weight.T, lambda value: list(torch.autograd.grad(value, [weight], retain_graph=True))
    )
    found = [gradient(weight, 0) + gradient(weight, 1)]
    GroupSam(rho=0.3).look_around(around, found, weights=rows, label=LABEL, group=GROUP)
    assert torch.allclose(found[0], expected, atol=1e-6)
    assert torch.equal(weight, before)


def table():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(4, 3)


def pictures():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    return network, torch.randn(4, 3, 6, 6)


def texts():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    network = nn.Sequential(nn.Embedding(20, 8), layer, nn.Flatten(), nn.Linear(64, 2))
    return network, torch.randint(1, 20, (4, 8))


@pytest.mark.parametrize("kind", [table, pictures, texts])
def test_a_step_changes_the_gradient_and_neither_weights_nor_what_one_pass_has_learned(kind):
    torch.manual_seed(0)
    network, features = kind()
    other = copy.deepcopy(network)

    def gradients(network, methods):
        parameters = list(network.train().parameters())

        def again():
            with frozen_statistics(network):
                return network(features)

        set_gradients(
            parameters,
            network(features),
            label=LABEL,
            group=GROUP,
            weights=torch.ones(4),
            methods=methods,
            engine=Engine(),
            again=again,
        )
        return [parameter.grad for parameter in parameters]

    plain, sharp = gradients(other, []), gradients(network, open_methods([("group-sam", {})]))
    assert any(not torch.allclose(one, two, atol=1e-4) for one, two in zip(plain, sharp, strict=True))
    after = network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in other.state_dict().items())


def test_a_radius_of_nothing_is_refused():
    with pytest.raises(UsageError, match="rho is 0"):
        GroupSam(rho=0)
