"""Two commands at once on one run, with real processes: nothing of either is lost."""

import signal
import subprocess
import sys

import pytest

import edgefair
from edgefair.config import load_config
from edgefair.training.run import load_run
from tests.e2e.commands import edit, run
from tests.e2e.test_launcher import launched

# Stops at a stage until its stdin is closed.
CHILD = """
import sys
from pathlib import Path
import edgefair
config, stage, do = sys.argv[1:]
config = edgefair.load_config(Path(config))
def stop(done, total, what):
    print(what, flush=True)
    if what.endswith(stage):
        print("stopped", flush=True)
        sys.stdin.read()
told = {"progress": edgefair.Progress(stop)}
{"train": lambda: edgefair.train(config, name="x", **told),
 "tune": lambda: edgefair.tune(config, name="x", trials=1, **told),
 "export": lambda: edgefair.export(config, run="plain", output=Path("out-" + stage[:4]), latency=False, **told),
}[do]()
"""


def started(project, do, stage, until="stopped"):
    """A command that goes on at the end of its stdin, when it has said so."""
    command = [sys.executable, "-c", CHILD, project / "edgefair.yaml", stage, do]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([str(item) for item in command], cwd=project, text=True, **pipes)
    for line in process.stdout:
        if line.startswith(until):
            return process
    raise AssertionError(process.stderr.read())


def train(project, *flags, name="x"):
    return run("train", "-c", project / "edgefair.yaml", "--name", name, *flags)


@pytest.mark.parametrize("do", ["train", "tune"])
def test_a_run_that_another_command_trains_is_refused_until_that_one_has_ended(project, do):
    edit(project, train__epochs=1)
    with started(project, do, "epoch 1/1") as first:
        for flags in ([], ["--overwrite"], ["--tune", 1]):
            refused = train(project, *flags)
            assert refused.exit_code == 2
            assert "another command is using" in refused.stderr
            assert str(project / "runs/x") in refused.stderr
        assert train(project, name="y").exit_code == 0
        said = first.communicate()
        assert first.returncode == 0, said
    load_run(project / "runs/x")
    assert not [path.name for path in (project / "runs").rglob(".*")], "locks that were left"


@pytest.mark.parametrize("do", ["train", "tune"])
def test_a_run_whose_training_was_killed_goes_on(project, do):
    edit(project, train__epochs=1)
    with started(project, do, "epoch 1/1") as first:
        first.send_signal(signal.SIGKILL)
    flags = ["--tune", 1] if do == "tune" else []
    assert train(project, *flags).exit_code == 0
    assert not [path.name for path in (project / "runs").rglob(".*")], "locks that were left"


def test_a_launchers_processes_share_a_run_and_are_refused_together(project):
    edit(project, train__epochs=1)
    with started(project, "train", "epoch 1/1") as first:
        said = launched(project, "--name", "x", code=2)
        assert said.count("another command is using") == 1
        first.communicate()
    launched(project, "--name", "z")
    assert launched(project, "--name", "z", "--seed", "5", code=2).count("other settings") == 1
    assert not [path.name for path in (project / "runs").rglob(".*")], "locks that were left"


def test_a_step_that_another_export_carries_out_is_waited_for_and_read(project):
    edit(project, train__epochs=1, compress__prune=0.3, compress__repair={"enabled": False})
    with (
        started(project, "export", "training (prune)") as first,
        started(project, "export", "never", until="waiting for another command that is using prune-") as second,
    ):
        said = [process.communicate() for process in (first, second)]
        assert (first.returncode, second.returncode) == (0, 0), said
        assert "training (prune)" not in said[1][0]
    assert (project / "out-trai/model.onnx").read_bytes() == (project / "out-neve/model.onnx").read_bytes()
    assert not [path.name for path in (project / "runs").rglob(".*")], "locks that were left"


def test_a_search_that_was_killed_while_it_wrote_its_journal_goes_on(project):
    edit(project, train__epochs=1)
    config = load_config(project / "edgefair.yaml")
    edgefair.tune(config, name="x", trials=1)
    journal = project / "runs/x/trials/study.journal"
    with journal.open("ab") as stream:
        stream.write(b'{"op_code": 4, "wor')
    (journal.parent / "study.journal.lock").symlink_to(journal)
    assert len(edgefair.tune(config, name="x", trials=2).metrics["trials"]) == 2
