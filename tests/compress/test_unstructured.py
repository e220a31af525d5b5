"""Sparsity of single weights, the baseline."""

import pytest
import torch
from torch import nn

from edgefair.compress.unstructured import sparsify
from edgefair.errors import ModelError, UsageError


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 10), nn.Linear(10, 2))


def test_local_takes_the_smallest_of_every_layer_and_leaves_the_last_alone():
    whole, sparse = network(), network()
    done = sparsify(sparse, 0.75, "local")
    for layer in (0, 3):
        weight, before = sparse[layer].weight.detach(), whole[layer].weight.detach()
        assert (weight == 0).float().mean() == pytest.approx(0.75, abs=0.01)
        assert before[weight == 0].abs().max() <= before[weight != 0].abs().min()
        assert torch.equal(weight[weight != 0], before[weight != 0])
    assert torch.equal(sparse[4].weight, whole[4].weight)
    assert done.weights == 8 * 27 + 320
    assert done.zeros == round(0.75 * done.weights)
    assert "no speed" in done.to_json()["effect"]


def test_global_takes_the_smallest_of_all_layers():
    sparse = network()
    with torch.no_grad():
        sparse[3].weight *= 100
    sparsify(sparse, 0.3, "global")
    assert (sparse[0].weight == 0).float().mean() > 0.7
    assert (sparse[3].weight == 0).float().mean() < 0.1


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="above 0"):
        sparsify(network(), 1.0, "local")
    with pytest.raises(UsageError, match="scope"):
        sparsify(network(), 0.5, "everywhere")
    with pytest.raises(ModelError, match="no convolution"):
        sparsify(nn.Linear(2, 2), 0.5, "local")
