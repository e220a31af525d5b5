"""Treatments before, during and after compression, as one job; and what is refused before anything is trained."""

import json

import numpy as np
import pytest

import edgefair
from edgefair.bundle.manifest import open_bundle
from edgefair.config import load_config
from edgefair.progress import Progress
from tests.e2e.commands import change, edit, refused, run


def export(project, *flags, code=0):
    result = run("export", "-c", project / "edgefair.yaml", "--no-latency", *flags)
    assert result.exit_code == code, result.output
    return " ".join(result.stdout.split())


def settings_of(project):
    return open_bundle(project / "dist/small").manifest.settings


def pruned_folders(project, name="plain"):
    return sorted((project / "runs" / name).glob("prune-*"))


def test_prune_quantize_and_a_threshold_are_one_file(project):
    export(project, "--int8")
    unpruned = (project / "dist/small/model.onnx").stat().st_size
    said = export(project, "--int8", "--prune", 0.5, "--scope", "global", "--post", "threshold")
    settings = settings_of(project)
    before, after = settings["prune"]["macs"]
    assert after <= before / 2
    assert settings["prune"]["scope"] == "global"
    assert settings["int8"] == "static"
    assert 0 < settings["post"]["threshold"]["threshold"] < 1
    assert (project / "dist/small/model.onnx").stat().st_size < unpruned
    assert "threshold (fitted on validation rows of the compressed model)" in said
    again = run("verify", "-c", project / "edgefair.yaml", "--no-latency")
    assert again.exit_code == 0, again.output


def test_a_finished_fine_tune_is_read_and_other_settings_get_their_own(project):
    export(project, "--prune", 0.5)
    (folder,) = pruned_folders(project)
    written = (folder / "run.json").stat().st_mtime_ns
    first = (project / "dist/small/model.onnx").read_bytes()
    export(project, "--prune", 0.5)
    assert (folder / "run.json").stat().st_mtime_ns == written
    assert (project / "dist/small/model.onnx").read_bytes() == first
    export(project, "--prune", 0.3)
    assert len(pruned_folders(project)) == 2


class StopError(Exception):
    pass


def test_an_interrupted_fine_tune_ends_with_the_same_file(project, tmp_path):
    edit(project, finetune__epochs=2, finetune__batch_rows=256, compress__prune=0.5)
    config = load_config(project / "edgefair.yaml")
    seen = []

    def stop_in_the_second_epoch(_done, _total, what):
        seen.append(what)
        if what == "epoch 2/2":
            raise StopError

    with pytest.raises(StopError):
        edgefair.export(config, latency=False, output=tmp_path / "a", progress=Progress(stop_in_the_second_epoch))
    assert "epoch 1/2" in seen
    assert not (tmp_path / "a").exists()
    seen.clear()
    edgefair.export(config, latency=False, output=tmp_path / "a", progress=Progress(lambda *now: seen.append(now[2])))
    assert "epoch 1/2" not in seen
    assert "epoch 2/2" in seen
    (folder,) = pruned_folders(project)
    for path in folder.iterdir():
        path.unlink()
    edgefair.export(config, latency=False, output=tmp_path / "b")
    assert (tmp_path / "a/model.onnx").read_bytes() == (tmp_path / "b/model.onnx").read_bytes()


@pytest.fixture
def debiased(project):
    """The project with a run `rw` that was trained with reweigh."""
    result = run("train", "-c", project / "edgefair.yaml", "--debias", "reweigh", "--name", "rw", "--epochs", 1)
    assert result.exit_code == 0, result.output
    return project


def test_the_fine_tune_keeps_the_treatment_and_warns_where_it_is_told_not_to(debiased):
    said = export(debiased, "--run", "rw", "--prune", 0.3)
    assert settings_of(debiased)["prune"]["debias"] == [{"method": "reweigh", "options": {}}]
    assert "loses most of that fairness" not in said
    edit(debiased, debias__finetune=[])
    said = export(debiased, "--run", "rw", "--prune", 0.3)
    assert settings_of(debiased)["prune"]["debias"] == []
    assert "loses most of that fairness" in said
    edit(debiased, debias__finetune=["balance"])
    export(debiased, "--run", "rw", "--prune", 0.3)
    assert settings_of(debiased)["prune"]["debias"] == [{"method": "balance", "options": {}}]


def test_what_is_fitted_after_compression_never_sees_the_audit_rows(project):
    edit(project, debias__post=[{"method": "last-layer", "options": {"fits": 2}}, "threshold"])
    export(project, "--int8")
    chosen = settings_of(project)["post"]

    def flipped(table):
        audit = table["part"] == "test"
        return np.where(audit, np.where(table["fair"] == "yes", "no", "yes"), table["fair"])

    change(project, fair=flipped)
    result = run("export", "--int8", "-c", project / "edgefair.yaml", "--no-latency", "--json")
    report = json.loads(result.stdout)
    assert report["exit_code"] != 0
    assert report["settings"]["post"] == chosen


def test_methods_and_stages_that_do_not_exist_are_refused_with_the_known_ones(project):
    assert "one of last-layer, threshold" in refused(project, "export", "--post", "treshold")
    assert "one of reweigh" in refused(project, "train", "--debias", "rewiegh", "--name", "x")
    edit(project, debias__finetune=["nosuch"])
    assert "unknown debias method 'nosuch'" in refused(project, "export", "--prune", 0.5)
    edit(project, debias={"after": ["threshold"]})
    assert "one of finetune, post, train" in refused(project, "train", "--name", "x")


def test_a_method_of_another_stage_says_where_it_belongs(project):
    assert "debias.post" in refused(project, "train", "--debias", "threshold", "--name", "x")
    assert "debias.train" in refused(project, "export", "--post", "reweigh")


def test_steps_that_contradict_are_refused(project):
    assert "would undo the threshold" in refused(project, "export", "--post", "threshold", "--post", "last-layer")
    assert "lists a method twice" in refused(project, "export", "--post", "threshold", "--post", "threshold")
    assert "together they would overcorrect" in refused(
        project, "train", "--debias", "reweigh", "--debias", "group-dro", "--name", "x"
    )
    edit(project, debias__finetune=["reweigh", "balance"])
    assert "together they would overcorrect" in refused(project, "export", "--prune", 0.5)


def test_only_a_training_run_can_be_pruned(shipped):
    model = shipped / "dist/small/model.onnx"
    assert "only a training run can be" in refused(shipped, "export", model, "--prune", 0.5)


def test_rows_that_changed_since_the_training_are_refused(project):
    change(project, skill=lambda table: table["skill"] + 1.0)
    assert "training rows have changed" in refused(project, "export", "--prune", 0.5)
    assert not pruned_folders(project)


def test_one_group_only_is_no_work_for_an_adversary(project):
    change(project, sex=lambda table: np.where(table["part"] == "train", "F", table["sex"]))
    result = run("train", "-c", project / "edgefair.yaml", "--debias", "adversarial", "--name", "x")
    assert result.exit_code == 2
    assert "at least two groups for debias method 'adversarial'" in result.stderr
    assert not (project / "runs/x/run.json").exists()


def test_a_cell_without_rows_is_named(project):
    def no_men_with_yes(table):
        gone = (table["part"] == "train") & (table["sex"] == "M")
        return np.where(gone, "no", table["fair"])

    change(project, fair=no_men_with_yes)
    for method in ("reweigh", "balance"):
        result = run("train", "-c", project / "edgefair.yaml", "--debias", method, "--name", "x")
        assert result.exit_code == 2
        assert "group 'M' and label 'yes'" in result.stderr


def test_a_handful_of_rows_is_said_with_what_the_method_does(project):
    def few_men_with_yes(table):
        found = np.flatnonzero((table["part"] == "train") & (table["sex"] == "M") & (table["fair"] == "yes"))
        label = table["fair"].copy()
        label[found[8:]] = "no"
        return label

    change(project, fair=few_men_with_yes)
    result = run("train", "-c", project / "edgefair.yaml", "--debias", "weighted-loss", "--epochs", 1, "--name", "x")
    assert result.exit_code == 0, result.output
    assert "group 'M' and label 'yes'" in result.stdout
    assert "the weight of its rows is capped" in result.stdout


def test_groups_that_are_not_known_cannot_be_treated(project):
    edit(project, data__sensitive=["gender"], policy__attributes={"gender": {"groups": ["F", "M"]}})
    assert "gender" in refused(project, "train", "--debias", "reweigh", "--name", "x")


def test_training_that_diverges_says_so_and_leaves_no_run(project):
    result = run(
        *("train", "-c", project / "edgefair.yaml", "--debias", "adversarial", "--name", "x"),
        *("--set", "train.learning_rate=1e30"),
    )
    assert result.exit_code == 2
    assert "training diverged in epoch 1" in result.stderr
    assert not (project / "runs/x/run.json").exists()
