"""Several processes train together through the real launcher, on CPU."""

import json
import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from tests.e2e.commands import run
from tests.e2e.forked import program, python_of


def launched(project, *flags, code=0):
    """What a launcher says whose processes, and itself, are forked from one that has imported everything."""
    tools = project / "tools"
    tools.mkdir(exist_ok=True)
    with program(tools):
        done = ended([tools / "edgefair"], project, flags, code, python_of(tools))
    return json.loads(done.stdout) if code == 0 else done.stderr


def ended(program, project, flags, code, environment):
    clean = {key: value for key, value in os.environ.items() if key not in {"RANK", "WORLD_SIZE"}}
    command = [*program, "train", "-c", project / "edgefair.yaml", "--json", "--launcher", "accelerate"]
    result = subprocess.run(
        [*map(str, command), "--processes", "2", "--device", "cpu", *flags],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=clean | environment,
    )
    assert result.returncode == code, result.stderr
    return result


def check_like_one(project, two, flags):
    """What two processes have trained is what one trains."""
    one = run("train", "-c", project / "edgefair.yaml", "--json", "--device", "cpu", *flags, "--name", "one")
    one = json.loads(one.stdout)
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)
    assert two["standing"]["accuracy"] == pytest.approx(one["standing"]["accuracy"], abs=0.01)
    assert two["settings"] == one["settings"]
    weights = [load_file(project / "runs" / name / "model.safetensors") for name in ("one", "two")]
    for name, value in weights[0].items():
        assert (value - weights[1][name]).abs().max() < 0.05, name
    assert not [path.name for path in (project / "runs").rglob(".*")], "locks that were left"


def test_two_processes_train_what_one_would(project):
    flags = ("--debias", "weighted-loss", "--debias", "eo-penalty")
    check_like_one(project, launched(project, *flags, "--name", "two"), flags)


def test_two_pythons_train_what_one_would_and_neither_loads_torchs_compiler(project):
    flags = ("--debias", "group-dro", "--debias", "adversarial")
    said = {"PYTHONPROFILEIMPORTTIME": "1"}
    done = ended([sys.executable, "-m", "edgefair"], project, (*flags, "--name", "two"), 0, said)
    check_like_one(project, json.loads(done.stdout), flags)
    loaded = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    assert loaded.count("torch") == 3, "of both, and of what has started them"
    assert "torch._dynamo" not in loaded, "it takes as long to load as torch"


def test_an_error_is_said_once_with_its_exit_code(project):
    said = launched(project, "--set", "train.batch_rows=255", "--name", "x", code=2)
    assert said.count("train.batch_rows is 255 for 2 processes") == 1
    assert not (project / "runs/x/run.json").exists()


def test_processes_without_a_launcher_are_refused(project):
    result = run("train", "-c", project / "edgefair.yaml", "--processes", 2)
    assert result.exit_code == 2
    assert "--processes needs --launcher accelerate" in result.stderr
