import os
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from edgefair.errors import ModelError, UsageError
from edgefair.exporters.factory import export_network
from edgefair.training.checkpoint import load_weights
from edgefair.training.factories import call_factory, open_factory

SOURCE = """
from dataclasses import dataclass
import torch
from torch import nn


@dataclass
class Result:
    logits: torch.Tensor
    hidden: torch.Tensor


class Net(nn.Module):
    def __init__(self, width, kind):
        super().__init__()
        self.first = nn.Linear(4, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.5)
        self.second = nn.Linear(width, 3)
        self.kind = kind

    def forward(self, x, y=None):
        hidden = self.drop(self.norm(torch.relu(self.first(x))))
        logits = self.second(hidden) if y is None else self.second(hidden) + y
        if self.kind == "result":
            return Result(logits, hidden)
        if self.kind == "text":
            return "logits"
        if self.kind == "loop" and logits.sum() > 0:
            return -logits
        if self.kind == "mean":
            return logits.mean()
        return (logits, hidden) if self.kind == "pair" else logits


def net(width=8, kind="tensor"):
    print("made")
    return Net(width, kind)


def number(): return 3

value = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "user_nets.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield tmp_path
    sys.modules.pop("user_nets", None)


def network(folder, suffix=".safetensors", **options):
    torch.manual_seed(0)
    made = call_factory("user_nets:net", options, facts={}).train()
    made(torch.rand(50, 4))
    path = folder / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(made.state_dict(), path)
    else:
        save_file(made.state_dict(), path)
    return made.eval(), path


def exported(name, weights, example, input_names, options):
    made = call_factory(name, options, facts={})
    load_weights(weights, made)
    return export_network(made, example, input_names)


def run(model, **inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {name: value.numpy() for name, value in inputs.items()})


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("example_rows", [1, 3])
def test_the_graph_is_the_network_in_evaluation_for_any_number_of_rows(folder, suffix, example_rows):
    made, path = network(folder, suffix)
    model = exported("user_nets:net", path, (torch.zeros(example_rows, 4),), ("x",), {})
    assert [item.name for item in model.graph.output] == ["output"]
    for rows in (1, 2, 7):
        x = torch.rand(rows, 4)
        (found,) = run(model, x=x)
        assert np.abs(found - made(x).detach().numpy()).max() < 1e-4


def test_options_reach_the_factory_and_inputs_keep_their_order(folder):
    made, path = network(folder, width=5)
    model = exported("user_nets:net", path, (torch.zeros(2, 4), torch.zeros(2, 3)), ("a", "b"), {"width": 5})
    assert [item.name for item in model.graph.input] == ["a", "b"]
    x, y = torch.rand(4, 4), torch.rand(4, 3)
    (found,) = run(model, a=x, b=y)
    assert np.abs(found - made(x, y).detach().numpy()).max() < 1e-4


def test_of_a_result_with_logits_the_logits_are_taken(folder):
    made, path = network(folder, kind="result")
    model = exported("user_nets:net", path, (torch.zeros(2, 4),), ("x",), {"kind": "result"})
    assert [item.name for item in model.graph.output] == ["output"]
    x = torch.rand(3, 4)
    (found,) = run(model, x=x)
    assert np.abs(found - made(x).logits.detach().numpy()).max() < 1e-4


def test_several_results_are_numbered(folder):
    made, path = network(folder, kind="pair")
    model = exported("user_nets:net", path, (torch.zeros(2, 4),), ("x",), {"kind": "pair"})
    assert [item.name for item in model.graph.output] == ["output_0", "output_1"]
    x = torch.rand(3, 4)
    for found, expected in zip(run(model, x=x), made(x), strict=True):
        assert np.abs(found - expected.detach().numpy()).max() < 1e-4


def test_only_the_factory_prints_and_not_to_stdout(folder, capfd):
    _, path = network(folder)
    capfd.readouterr()
    exported("user_nets:net", path, (torch.zeros(2, 4),), ("x",), {})
    assert capfd.readouterr() == ("", "made\n")


@pytest.mark.parametrize(("kind", "message"), [("text", "returns a str"), ("loop", "cannot be exported")])
def test_what_cannot_be_a_graph_is_refused(folder, kind, message):
    _, path = network(folder)
    with pytest.raises(ModelError, match=message):
        exported("user_nets:net", path, (torch.zeros(2, 4),), ("x",), {"kind": kind})


def test_one_result_for_all_rows_is_refused(folder):
    _, path = network(folder)
    with pytest.raises(ModelError, match="fixed shape"):
        exported("user_nets:net", path, (torch.zeros(2, 4),), ("x",), {"kind": "mean"})


def test_a_batch_normalization_without_statistics_is_refused_by_name():
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3, track_running_stats=False))
    with pytest.raises(ModelError, match="batch normalization '1' has no running statistics"):
        export_network(network, (torch.zeros(2, 4),), ("x",))


def test_pickled_weights_are_never_loaded(folder):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(folder / "ran"),)

    torch.save({"first.weight": Payload()}, folder / "weights.pt")
    with pytest.raises(ModelError, match="cannot be read as tensors"):
        exported("user_nets:net", folder / "weights.pt", (torch.zeros(2, 4),), ("x",), {})
    assert not (folder / "ran").exists()


def test_weights_of_another_network_are_refused(folder):
    _, path = network(folder, width=5)
    with pytest.raises(ModelError, match="do not fit"):
        exported("user_nets:net", path, (torch.zeros(2, 4),), ("x",), {})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("user_nets", {}, "does not name"),
        (":net", {}, "does not name"),
        ("no_such_module:net", {}, "cannot be imported"),
        ("user_nets:nothing", {}, "cannot be imported"),
        ("user_nets:value", {}, "is a int"),
        ("user_nets:net", {"classes": 3}, "classes"),
    ],
)
def test_a_factory_that_cannot_be_used_is_named(folder, name, options, message):
    with pytest.raises(UsageError, match=message):
        call_factory(name, options, facts={})


def test_open_factory_finds_a_module_of_the_current_folder(folder):
    assert open_factory("user_nets:number")() == 3


@pytest.mark.parametrize(("body", "message"), [("1 / 0", "ZeroDivisionError"), ("sys.exit(3)", "SystemExit")])
def test_a_factory_that_fails_or_leaves_is_to_blame_and_not_this_program(tmp_path, monkeypatch, body, message):
    monkeypatch.chdir(tmp_path)
    name = f"failing_{message.lower()}"
    (tmp_path / f"{name}.py").write_text(f"import sys\n\n\ndef build():\n    {body}\n")
    with pytest.raises(UsageError, match=f"failed: {message}"):
        call_factory(f"{name}:build", {}, facts={})


@pytest.mark.parametrize("source", ["def f(:", "raise TypeError('x')", "import sys; sys.exit(0)"])
def test_a_module_that_cannot_be_imported_is_to_blame_and_not_this_program(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    name = f"broken_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    with pytest.raises(UsageError, match="cannot be imported"):
        open_factory(f"{name}:build")
