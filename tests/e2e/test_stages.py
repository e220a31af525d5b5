"""The log of a long job: its stages on stderr, the result alone on stdout."""

import json

import pytest
import torch

from tests.e2e.commands import run


@pytest.fixture
def said(project):
    def of(*command):
        result = run(*command, "-c", project / "edgefair.yaml", "--json")
        assert result.exit_code in {0, 1, 3}, result.output
        json.loads(result.stdout)
        return result.stderr.splitlines()

    return of


def test_a_training_says_what_it_does_and_on_how_many_threads_it_did_it(said, project):
    *lines, advice = said("train", "--epochs", 2, "--name", "fair")
    assert [line for line in lines if not line.startswith("epoch ")] == ["reading", "training fair", "validating"]
    assert [line.partition(":")[0] for line in lines if line.startswith("epoch ")] == ["epoch 1/2", "epoch 2/2"]
    assert advice.startswith("next: edgefair export --int8 --run fair")
    metrics = json.loads((project / "runs/fair/run.json").read_text())["metrics"]
    assert metrics["threads"] == torch.get_num_threads()


def test_an_export_says_what_it_does(said):
    lines = said("export", "--low-rank", 0.3, "--int8", "static", "--no-latency", "--no-repair")
    lines = [line for line in lines if not line.startswith("epoch ")]
    rows = next(line for line in lines if line.startswith("deciding"))
    assert lines[:9] == [
        "reading",
        "exporting to ONNX",
        "step low-rank",
        "training (low-rank)",
        "validating",
        "exporting to ONNX",
        "calibrating (int8-balanced)",
        "starting local",
        rows,
    ]
    assert rows.split(" on ")[1] == "local (candidate)"
    assert not [line for line in lines if "rank of" in line]


def test_a_finished_step_is_not_said_to_be_done_again(said):
    flags = ("export", "--low-rank", 0.3, "--no-latency", "--no-repair")
    said(*flags)
    assert not [line for line in said(*flags) if line.startswith(("step", "training"))]


def test_layers_are_one_line_however_many_they_are(said):
    lines = said("explain", "--rows", 8)
    assert sum("layers" in line for line in lines) == 1
    assert lines[:3] == ["reading", "exporting to ONNX", "calibrating (int8-balanced)"]
    assert len(lines) < 10
