"""A remembered trace gives another network's graph, byte for byte as torch exports it anew."""

import pytest
import torch

from edgefair.exporters.torch_module import OPSET
from edgefair.exporters.torch_program import torch_program
from tests.exporters import remembered

ROWS = torch.export.Dim("rows", min=1)


class Tied(torch.nn.Module):
    """Two weights that are one, a buffer, a normalization that the optimizer folds, and a number of its own."""

    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = factor
        self.first, self.second = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.norm = torch.nn.BatchNorm1d(3)
        self.register_buffer("mean", torch.randn(3))
        self.norm.running_mean.normal_()

    def forward(self, x):
        return self.norm(self.second(self.first(x - self.mean).relu())) * self.factor


def graph(network):
    program = torch_program(
        network.eval(), (torch.zeros(2, 3),), opset_version=OPSET, dynamic_shapes=({0: ROWS},), output_names=["y"]
    )
    return program.model_proto.SerializeToString()


@pytest.mark.parametrize("make", [Tied, lambda: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Softmax(-1))])
def test_a_graph_from_a_trace_of_other_weights_is_that_of_an_export_anew(make, monkeypatch):
    networks = [make() for _ in range(3)]
    anew = [graph(network) for network in networks]
    assert len(set(anew)) == 3
    monkeypatch.setattr(remembered, "_traces", type(remembered._traces)())
    remembered.remember(True)
    assert [graph(network) for network in networks] == anew
    assert len(remembered._traces) == 1


def test_a_network_that_is_unlike_in_anything_but_weights_is_traced_itself(monkeypatch):
    one, other, untied = Tied(), Tied(factor=3.0), Tied()
    untied.second.weight = torch.nn.Parameter(untied.first.weight.detach().clone())
    anew = [graph(network) for network in (one, other, untied)]
    monkeypatch.setattr(remembered, "_traces", type(remembered._traces)())
    remembered.remember(True)
    assert [graph(network) for network in (one, other, untied)] == anew
    assert len(remembered._traces) == 3
