"""Training in 16 bits and compiled: FP32 weights, resumed exactly, and a clear word where it cannot be done."""

import functools

import pytest
import torch

from edgefair.debias import open_methods
from edgefair.debias.base import eager, load_optimizer, optimizer_state
from edgefair.errors import ModelError, UsageError
from edgefair.progress import silent
from edgefair.training.checkpoint import Checkpoint
from edgefair.training.distill import Distill
from edgefair.training.epoch.arithmetic import trainable
from edgefair.training.loop import TrainingRecipe, train
from edgefair.training.settings import TrainConfig
from tests.training.interrupted import StopError, stop_after
from tests.training.test_training_loop import fresh, make_rows


def trained(folder, classifier, rows, *, methods=(), progress=silent, name="a", **settings):
    config = TrainConfig(epochs=3, batch_rows=64, **settings)
    recipe = TrainingRecipe(config, open_methods([(method, {}) for method in methods]))
    return train(classifier, rows, recipe, seed=3, checkpoint=Checkpoint(folder / name, "x"), progress=progress)


@pytest.mark.parametrize("methods", [[], ["adversarial"], ["group-sam"]], ids=["plain", "adversarial", "group-sam"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_sixteen_bits_train_to_nearly_the_same_fp32_weights_and_go_on_exactly(tmp_path, precision, methods):
    rows = make_rows()
    exact, whole, resumed = fresh(rows), fresh(rows), fresh(rows)
    trained(tmp_path, exact, rows, methods=methods, name="fp32")
    losses = trained(tmp_path, whole, rows, methods=methods, precision=precision).losses
    with pytest.raises(StopError):
        trained(tmp_path, fresh(rows), rows, methods=methods, precision=precision, name="b", progress=stop_after(10))
    assert trained(tmp_path, resumed, rows, methods=methods, precision=precision, name="b").losses == losses
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    for name, value in whole.network.state_dict().items():
        assert value.dtype == torch.float32
        assert not torch.equal(value, exact.network.state_dict()[name])
        assert (value - exact.network.state_dict()[name]).abs().max() < 0.02


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("fused", [False, True])
def test_an_optimizer_that_loads_no_compiler_learns_bit_by_bit_what_torchs_own_learns(kind, fused):
    how = {"lr": 0.1, "weight_decay": 0.1, "foreach": None if fused else False, "fused": fused}
    learnt = []
    for chosen in (kind, eager(kind)):
        torch.manual_seed(0)
        network = torch.nn.Linear(3, 2)
        optimizer = chosen(network.parameters(), **how)
        for step in range(4):
            optimizer.zero_grad()
            network(torch.arange(3.0) + step).square().sum().backward()
            optimizer.step()
            if step == 1:
                kept = optimizer_state(optimizer)
                optimizer = chosen(network.parameters(), **how)
                load_optimizer(optimizer, kept)
        learnt.append([network.weight, *optimizer_state(optimizer).values()])
    assert len(learnt[0]) == 7
    assert all(map(torch.equal, *learnt))


class Unknown(torch.nn.Module):
    """A layer that torch has no kernel for in 16 bits."""

    def forward(self, x):
        with torch.autocast("cpu", enabled=False):
            return x + torch.geqrf(x[:2, :2]).tau.sum()


def test_a_network_that_torch_cannot_compute_in_sixteen_bits_is_refused(tmp_path):
    rows = make_rows()
    classifier = fresh(rows)
    classifier.network.append(Unknown())
    with pytest.raises(UsageError, match=r"train\.precision: torch cannot train this network in 16 bits on (cpu|cuda)"):
        trained(tmp_path, classifier, rows, precision="fp16")


def test_a_compiled_network_trains_alike_and_one_that_cannot_be_compiled_is_refused(tmp_path, monkeypatch):
    rows = make_rows()
    compiled, plain = fresh(rows), fresh(rows)
    made = torch.compile

    def broken(graph, inputs):
        raise OSError("no compiler")

    monkeypatch.setattr(torch, "compile", functools.partial(made, backend=broken))
    with pytest.raises(UsageError, match=r"train\.compile: torch.compile does not work here"):
        trained(tmp_path, fresh(rows), rows, compile=True, name="broken")
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(made, backend="eager"))
    trained(tmp_path, compiled, rows, compile=True)
    trained(tmp_path, plain, rows, name="plain")
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(value, compiled.state_dict()[name], rtol=0, atol=0)


def test_a_run_says_of_later_settings_what_differs_from_before_and_nothing_of_memory():
    old = TrainConfig().deciding
    assert not {"precision", "compile", "memory_mb"} & old.keys()
    assert TrainConfig(memory_mb=5).deciding == old
    assert TrainConfig(precision="bf16", compile=True).deciding == {**old, "precision": "bf16", "compile": True}


@pytest.mark.parametrize("mfd_weight", [0.0, 3.0], ids=["soft labels", "features"])
def test_a_teacher_teaches_in_sixteen_bits_what_it_teaches_in_fp32(tmp_path, mfd_weight):
    rows = make_rows()
    learned = {}
    for precision in ("fp32", "bf16"):
        student = fresh(rows)
        teacher = Distill(fresh(rows, seed=5), mfd_weight=mfd_weight)
        recipe = TrainingRecipe(TrainConfig(epochs=2, batch_rows=64, precision=precision), (), teacher)
        train(student, rows, recipe, seed=3, checkpoint=Checkpoint(tmp_path / precision, "x"), progress=silent)
        learned[precision] = torch.cat([value.flatten() for value in student.network.state_dict().values()])
    assert not torch.equal(learned["fp32"], learned["bf16"])
    assert (learned["fp32"] - learned["bf16"]).abs().max() < 0.02


def test_weights_that_are_frozen_are_not_trained_and_a_network_of_such_alone_is_refused():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    network[0].requires_grad_(False)
    assert trainable(network) == [*network[1].parameters()]
    with pytest.raises(ModelError, match="no weight to train"):
        trainable(network.requires_grad_(False))
