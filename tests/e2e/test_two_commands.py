"""Two commands at once on one run, with real processes: nothing of either is lost."""

import pytest

import edgefair
from edgefair.config import load_config
from edgefair.training.run import load_run
from tests.e2e.commands import edit, run
from tests.e2e.forked import WAITING, Talking, wait
from tests.e2e.test_launcher import launched


def work(pipe, config, do, stage):
    """Carry out a command; tell its stages, and wait at one."""

    def told(_done, _total, what):
        pipe.send(what)
        if what.endswith(stage):
            wait(pipe)

    config, progress = edgefair.load_config(config), edgefair.Progress(told)
    if do == "train":
        edgefair.train(config, name="x", progress=progress)
    elif do == "tune":
        edgefair.tune(config, name="x", trials=1, progress=progress)
    else:
        output = config.base / f"out-{stage[:4]}"
        edgefair.export(config, run="plain", output=output, latency=False, progress=progress)


def started(project, do, stage, until=WAITING):
    """A command that has said so, in a process of its own."""
    return Talking(work, project / "edgefair.yaml", do, stage).until(until)


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
        first.go_on()
    load_run(project / "runs/x")
    assert not [path.name for path in (project / "runs").rglob(".*")], "locks that were left"


@pytest.mark.parametrize("do", ["train", "tune"])
def test_a_run_whose_training_was_killed_goes_on(project, do):
    edit(project, train__epochs=1)
    with started(project, do, "epoch 1/1") as first:
        first.process.kill()
    flags = ["--tune", 1] if do == "tune" else []
    assert train(project, *flags).exit_code == 0
    assert not [path.name for path in (project / "runs").rglob(".*")], "locks that were left"


def test_a_launchers_processes_share_a_run_and_are_refused_together(project):
    edit(project, train__epochs=1)
    with started(project, "train", "epoch 1/1") as first:
        said = launched(project, "--name", "x", code=2)
        assert said.count("another command is using") == 1
        first.go_on()
    assert launched(project, "--name", "plain", "--seed", "5", code=2).count("other settings") == 1
    assert not [path.name for path in (project / "runs").rglob(".*")], "locks that were left"


def test_a_step_that_another_export_carries_out_is_waited_for_and_read(project):
    edit(project, train__epochs=1, compress__prune=0.3, compress__repair={"enabled": False})
    with (
        started(project, "export", "training (prune)") as first,
        started(project, "export", "never", until="waiting for another command that is using prune-") as second,
    ):
        first.go_on()
        assert "training (prune)" not in second.go_on()
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
