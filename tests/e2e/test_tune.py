"""`edgefair train --tune`: a search that is never worse than no search, and that goes on where it stopped."""

import json

import numpy as np
import pytest

import edgefair
from edgefair.config import load_config
from edgefair.progress import Progress
from edgefair.training.run import load_run
from tests.e2e.commands import change, edit, run


def tune(project, trials, *flags, name="best", code=0):
    result = run(
        *("train", "-c", project / "edgefair.yaml", "--tune", trials, "--name", name, "--json"),
        *("--debias", "reweigh", "--debias", "eo-penalty", "--epochs", 1, *flags),
    )
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code == 0 else result.stderr


def test_the_first_trial_is_what_was_configured_and_the_best_one_is_kept(project):
    found = tune(project, 3)
    first, *others = found["trials"]
    assert first["settings"]["learning_rate"] == pytest.approx(0.02)
    assert set(first["settings"]) == {"learning_rate", "weight_decay", "eo-penalty.eps", "eo-penalty.dual_lr"}
    assert len(others) == 2
    assert found["standing"]["rank"] == max(trial["value"] for trial in found["trials"]) >= first["value"]
    best = max(found["trials"], key=lambda trial: trial["value"])
    folder = project / "runs/best"
    assert load_run(folder).weights.read_bytes() == load_run(folder / "trials" / best["run"]).weights.read_bytes()
    assert found["settings"]["train"]["learning_rate"] == best["settings"]["learning_rate"]


def test_more_trials_extend_a_search_to_what_it_would_have_been(project):
    tune(project, 1)
    extended = tune(project, 3)
    whole = tune(project, 3, name="whole")
    assert extended["trials"] == whole["trials"]
    assert extended["standing"] == whole["standing"]


class StopError(Exception):
    pass


def test_an_interrupted_search_goes_on_with_the_trial_at_which_it_stopped(project):
    edit(project, train__epochs=1, debias__train=["eo-penalty"])
    config = load_config(project / "edgefair.yaml")

    def stop_in_the_second_trial(_done, _total, what):
        if what == "trial 2: epoch 1/1":
            raise StopError

    with pytest.raises(StopError):
        edgefair.tune(config, name="best", trials=3, progress=Progress(stop_in_the_second_trial))
    seen = []
    resumed = edgefair.tune(config, name="best", trials=3, progress=Progress(lambda *now: seen.append(now[2])))
    assert not [what for what in seen if what.startswith("trial 1:")]
    whole = edgefair.tune(config, name="whole", trials=3)
    assert resumed.metrics["trials"] == whole.metrics["trials"]


def test_a_finished_search_is_returned_and_another_one_refused(project):
    found = tune(project, 1)
    written = (project / "runs/best/run.json").stat().st_mtime_ns
    assert tune(project, 1) == found
    assert (project / "runs/best/run.json").stat().st_mtime_ns == written
    assert "finished run with other settings" in tune(project, 1, "--seed", 5, code=2)
    assert tune(project, 1, "--seed", 5, "--overwrite")["settings"]["seed"] == 5


def test_more_memory_and_the_name_of_the_same_device_are_no_other_search(project):
    found = tune(project, 1)
    assert tune(project, 1, "--set", "train.memory_mb=5", "--device", "cpu") == found


def test_other_rows_are_another_search(project):
    tune(project, 1)
    change(project, skill=lambda table: table["skill"] + 1)
    assert "finished run with other settings" in tune(project, 1, code=2)


def test_a_trial_that_diverges_counts_for_nothing_and_a_search_of_such_is_an_error(project):
    explosive = ("--set", "train.learning_rate=1e12")
    assert "training diverged" in tune(project, 2, *explosive, code=2)
    assert not (project / "runs/best/run.json").exists()


def test_options_that_are_given_are_not_searched(project):
    edit(project, debias__train=[{"method": "eo-penalty", "options": {"eps": 0.01}}], train__epochs=1)
    run_ = edgefair.tune(load_config(project / "edgefair.yaml"), name="best", trials=2)
    assert "eo-penalty.eps" not in run_.metrics["trials"][0]["settings"]
    assert run_.settings["debias"][0]["options"]["eps"] == 0.01


def test_the_audit_rows_have_no_say(project):
    found = tune(project, 2)
    change(project, skill=lambda table: table["skill"] * np.where(table["part"] == "train", 1, -1))
    assert tune(project, 2, name="again")["trials"] == found["trials"]


def test_a_launcher_does_not_search(project):
    result = run("train", "-c", project / "edgefair.yaml", "--tune", 2, "--launcher", "accelerate", "--name", "x")
    assert result.exit_code == 2
    assert "cannot be combined" in result.stderr


def test_no_checkpoint_is_left_behind(project):
    tune(project, 2)
    names = {path.name for path in (project / "runs/best").rglob("*") if path.is_file()}
    assert names == {"model.safetensors", "run.json", "seen_rows.npz", "study.journal"}
