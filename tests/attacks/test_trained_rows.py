"""Rows that trained a model never judge it, whatever is done to the split, the file, the ids or the columns."""

import shutil

import numpy as np
import pytest

from tests.attacks.coins import CONFIG, both, coins, judged, run, taken, write

OTHER = ("--set", "data.split.seed=1")
LAX = ("--set", "policy.min_balanced_accuracy=0")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that knows its training rows by heart, and a bundle of it that a policy without a floor let through."""
    project = tmp_path_factory.mktemp("coins")
    write(project, coins())
    (project / "edgefair.yaml").write_text(CONFIG)
    assert run(project, "train", "--name", "big")[0] == 0
    code, output = run(project, "export", "--no-latency", *LAX)
    assert code == 0, output
    return project


@pytest.fixture
def project(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "project")


def accuracy(report):
    """Share of the audit rows that were decided rightly."""
    counts = np.array(report["targets"][0]["counts"]["table"])
    return np.trace(counts.sum(axis=0)) / counts.sum()


def refused(project, *arguments):
    code, output = run(project, *arguments, "--no-latency")
    assert code == 2, output
    return output


def test_the_model_remembers_the_rows_that_trained_it_and_fails_on_all_others(project):
    code, report = judged(project, "export")
    assert code == 1
    assert accuracy(report) < 0.56
    assert "which rows trained" not in str(report["notes"])


@pytest.mark.parametrize("command", [("export", "--run", "big"), ("verify", "dist/coins"), ("verify",)])
def test_another_seed_of_the_split_is_refused(project, command, monkeypatch):
    monkeypatch.chdir(project)
    assert "row ids are in the training and the audit split" in refused(project, *command, *OTHER)


def test_new_ids_hide_no_row(project):
    table = coins()
    write(project, {**table, "row": np.array([f"new{row}" for row in range(len(table["row"]))])})
    for command in ("export", "verify"):
        assert "audit rows equal a training row in every feature" in refused(project, command)


def test_without_ids_rows_are_compared_by_content(project):
    unnamed = ("--set", "data.id=null", "--set", "data.exclude=[row]")
    for command in ("export", "verify"):
        assert "audit rows equal a training row in every feature" in refused(project, command, *unnamed, *OTHER)


@pytest.mark.parametrize("change", ["label", "groups", "another column", "other features"])
def test_a_new_coding_of_what_the_model_does_not_see_hides_no_row(project, change):
    table, flags = coins(), ["--set", "data.id=null", "--set", "data.exclude=[row]"]
    if change == "label":
        table["won"] = np.where(table["won"] == "yes", "no", "yes")
    elif change == "groups":
        flags += ["--set", "data.merge={sex: {A: [F], B: [M]}}"]
        flags += ["--set", "policy.attributes={sex: {groups: [A, B]}}"]
    elif change == "another column":
        table["region"] = np.arange(len(table["row"])).astype(str)
        flags += ["--set", "data.sensitive=[sex, region]"]
    else:
        table["noise"] = np.random.default_rng(5).normal(size=len(table["row"]))
    write(project, table)
    assert "audit rows equal a training row in every feature" in refused(project, "verify", *flags, *OTHER)


@pytest.mark.parametrize("command", ["export", "verify"])
def test_a_shuffled_file_has_the_same_audit_rows(project, command):
    before = judged(project, command)
    write(project, taken(coins(), np.random.default_rng(3).permutation(len(coins()["row"]))))
    code, report = judged(project, command)
    assert code == 1
    assert report["audit"] == before[1]["audit"]
    assert accuracy(report) == accuracy(before[1])


@pytest.mark.parametrize("command", ["export", "verify"])
@pytest.mark.parametrize("place", ["before", "behind"])
def test_five_more_rows_move_nobody(project, command, place):
    rows = judged(project, command)[1]["audit"]["rows"]
    old, new = coins(), coins(5, seed=9, first=10_000)
    write(project, both(new, old) if place == "before" else both(old, new))
    code, report = judged(project, command)
    assert code == 1
    assert 0 <= report["audit"]["rows"] - rows <= 5
    assert accuracy(report) < 0.56


def test_a_comparison_judges_no_trained_rows_either(project):
    bundle = project / "dist/coins"
    output = refused_compare(project, bundle, bundle / "reference/model.onnx", *OTHER)
    assert "row ids are in the training and the audit split" in output


def refused_compare(project, *arguments):
    code, output = run(project, "compare", *arguments)
    assert code == 2, output
    return output


def test_a_bundle_without_its_seen_rows_is_judged_and_says_what_is_not_known(project):
    shutil.rmtree(project / "dist/coins/reference")
    _, report = judged(project, "verify")
    assert any("'reference/seen_rows.npz' is not in the bundle" in note for note in report["notes"])


def test_a_model_file_says_that_its_training_rows_are_not_known(project):
    _, report = judged(project, "verify", project / "dist/coins/reference/model.onnx")
    assert any("which rows trained this model is unknown beyond" in note for note in report["notes"])


def test_seen_rows_that_were_changed_are_no_evidence(project):
    path = project / "dist/coins/reference/seen_rows.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "'reference/seen_rows.npz' in bundle" in refused(project, "verify")
    (project / "runs/big/seen_rows.npz").write_bytes(path.read_bytes())
    assert "seen_rows.npz' was modified after training" in refused(project, "export")


def test_weights_that_were_changed_are_not_exported(project):
    path = project / "runs/big/model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    output = refused(project, "export")
    assert "model.safetensors' was modified after training: its sha256 is" in output
    assert "as run.json says" in output


def test_a_run_that_does_not_say_what_it_has_seen_is_trained_again(project):
    path = project / "runs/big/run.json"
    path.write_text(path.read_text().replace("edgefair.run/2", "edgefair.run/1"))
    assert "train it again: `edgefair train --name big --overwrite`" in refused(project, "export")


def test_the_rows_of_a_teacher_are_rows_that_the_student_has_seen(project):
    quick = ("--set", "train.epochs=1")
    assert run(project, "train", "--name", "teacher", *OTHER, *quick)[0] == 0
    taught = ("--set", "compress.distill={teacher: teacher, student: 0.5}")
    output = refused(project, "export", "--run", "big", *taught)
    assert "row ids are in the training and the audit split" in output
