"""What no study could be run with is said before anything is trained, with exit code 2."""

import json

import pytest

from edgefair.errors import EdgefairError, UsageError
from edgefair.resources import shipped_names
from edgefair.study.run.given import open_plan
from edgefair.study.run.prepared import check_study, rows_of
from edgefair.study.run.study import run_study
from tests.e2e.commands import run
from tests.study.run.small_study import given, write_project


def plan_with(factors, more=""):
    return f"study: people\nfactors: {{{factors}}}\nseeds: 2\n{more}\n"


EXTENT, CONTROL = "extent: [none, int8]", "extent: [none, finetune-only"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            plan_with("extent: [none, finetune-only, prune 0.99]", "compress: {round_to: 16}"),
            "extent 'prune 0.99' cannot be run: ",
        ),
        (
            plan_with("extent: [none, finetune-only, cluster 4000]"),
            "extent 'cluster 4000' cannot be run: the network has no layer",
        ),
        (
            plan_with("extent: [finetune-only, prune 0.5 adversarial-frozen]", "compress: {rounds: 3}"),
            "extent 'prune 0.5 adversarial-frozen' cannot be run: .* leaves random weights untrained",
        ),
        (plan_with("extent: [none, int8]", "compress: {calibration: int9}"), "extent 'int8' cannot be run: "),
        (plan_with(f"{EXTENT}, keep: [all, 5000]"), "keep '5000' cannot be run: data.keep is 5,000, and there are"),
        (plan_with("noise: [0, {flip: 0.4, where: {sex: X}}]"), "cannot be run: column 'sex' is never 'X'"),
        (plan_with("noise: [0, {flip: 0.4, where: {gender: F}}]"), "cannot be run: "),
        (plan_with("thin: [none, {keep: 0, where: {sex: F}}]"), "no .* is left|none of"),
        (plan_with("treatment: [none, after]", "after_rows: 5000"), "after_rows is 5,000, and there are"),
        (plan_with(EXTENT, "settings: {model.network: tree}"), "extent 'none' cannot be run: .*tree"),
        (plan_with(EXTENT, "settings: {data.split.validation: []}"), "validation"),
        (plan_with(EXTENT, "settings: {targets: [local, litert]}"), "2 targets, and a study measures on one"),
        (plan_with(EXTENT, "settings: {targets: [lokal]}"), "did you mean 'local'"),
        (plan_with(EXTENT, "settings: {policy.audit: sealed}"), "sealed"),
        (plan_with(EXTENT, "settings: {train.epoch: 3}"), "train.epoch"),
        (plan_with(EXTENT, "compress: {prune: 0.5}"), "compress: no 'prune'"),
        (plan_with(EXTENT, "config: none.yaml"), "no config"),
        (plan_with("extent: [none, qat]"), "write 'qat \\+ int8'"),
        (plan_with("extent: [none, reordered 3]"), "takes no number"),
    ],
)
def test_it_names_the_level_or_the_key(tmp_path, text, said):
    def checked():
        plan = given(tmp_path, text)
        check_study(plan, rows_of(plan))

    with pytest.raises(EdgefairError, match=f"(?s){said}") as found:
        checked()
    assert found.value.exit_code == 2


def test_a_treatment_that_the_rows_cannot_serve_is_refused(tmp_path):
    write_project(tmp_path)
    lines = (tmp_path / "people.csv").read_text().splitlines()
    lines = [line for line in lines if ",F,yes,train" not in line]
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "plan.yaml").write_text(plan_with("treatment: [none, before]"))
    plan = open_plan(str(tmp_path / "plan.yaml"))
    with pytest.raises(EdgefairError, match="treatment 'before' cannot be run: no training row has group 'F'"):
        check_study(plan, rows_of(plan))


def test_nothing_is_trained_before_all_is_checked(tmp_path):
    plan = given(tmp_path, plan_with("extent: [none, finetune-only, prune 0.99]"))
    with pytest.raises(EdgefairError):
        run_study(plan, tmp_path / "out")
    assert not list((tmp_path / "out" / "stages" / "runs").iterdir())


def test_a_folder_that_another_study_uses_or_that_cannot_be_made_is_refused(tmp_path):
    plan = given(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the study"):
        run_study(plan, tmp_path / "file")


def test_plans_that_ship_can_be_read_and_say_what_they_are_for():
    for name in shipped_names("deploy/studies"):
        found = open_plan(name)
        assert (found.plan.study, bool(found.plan.about)) == (name, True)


def test_the_command_lists_and_foresees(tmp_path, monkeypatch):
    given(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert "census-quick: " in run("study", "--list").stdout
    listed = json.loads(run("study", "--list", "--json").stdout)
    assert (listed["schema"], "census-quick" in listed["studies"]) == ("edgefair.studies/1", True)
    assert run("study", "--list", "--format", "html=studies.html").exit_code == 0
    assert "census-quick" in (tmp_path / "studies.html").read_text()
    assert run("study", "--list", "--format", "sarif").exit_code == 2
    done = run("study", "plan.yaml", "--dry-run")
    assert (done.exit_code, "people: 4 cells, 2 seeds" in done.stdout) == (0, True)
    missing = run("study", "nope")
    assert (missing.exit_code, "unknown study 'nope'" in missing.stderr) == (2, True)
    assert run("study", "--dry-run").exit_code == 2
