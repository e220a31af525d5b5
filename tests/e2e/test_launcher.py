"""Several processes train together through the real launcher, on CPU."""

import json
import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from tests.e2e.commands import run


def launched(project, *flags, code=0):
    command = [sys.executable, "-m", "edgefair", "train", "-c", project / "edgefair.yaml", "--json"]
    clean = {key: value for key, value in os.environ.items() if key not in {"RANK", "WORLD_SIZE"}}
    result = subprocess.run(
        [*map(str, command), "--launcher", "accelerate", "--processes", "2", "--device", "cpu", *flags],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=clean,
    )
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout) if code == 0 else result.stderr


@pytest.mark.parametrize("methods", [("weighted-loss", "eo-penalty"), ("group-dro", "adversarial")], ids="+".join)
def test_two_processes_train_what_one_would(project, methods):
    flags = [item for name in methods for item in ("--debias", name)]
    two = launched(project, *flags, "--name", "two")
    one = run("train", "-c", project / "edgefair.yaml", "--json", "--device", "cpu", *flags, "--name", "one")
    one = json.loads(one.stdout)
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)
    assert two["standing"]["accuracy"] == pytest.approx(one["standing"]["accuracy"], abs=0.01)
    assert two["settings"] == one["settings"]
    weights = [load_file(project / "runs" / name / "model.safetensors") for name in ("one", "two")]
    for name, value in weights[0].items():
        assert (value - weights[1][name]).abs().max() < 0.05, name
    assert not [path.name for path in (project / "runs").rglob(".*")], "locks that were left"


def test_an_error_is_said_once_with_its_exit_code(project):
    said = launched(project, "--set", "train.batch_rows=255", "--name", "x", code=2)
    assert said.count("train.batch_rows is 255 for 2 processes") == 1
    assert not (project / "runs/x/run.json").exists()


def test_processes_without_a_launcher_are_refused(project):
    result = run("train", "-c", project / "edgefair.yaml", "--processes", 2)
    assert result.exit_code == 2
    assert "--processes needs --launcher accelerate" in result.stderr
