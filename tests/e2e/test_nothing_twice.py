"""No stage of a command is carried out twice, as `--timings` counts them."""

import json
from collections import Counter

import pytest

from tests.cli.test_startup import HEAVY, NOT_TO_JUDGE_TABLES, loaded_by
from tests.e2e.commands import edit, run
from tests.e2e.test_repair import COARSE


def told(*arguments, code=0):
    """What `--timings` of a command says."""
    result = run(*arguments, "--json", "--timings")
    assert result.exit_code == code, result.output
    return json.loads(result.stderr.splitlines()[-1])


def part(stage, *names):
    """The stage of these names, one inside of the other; None where it was not passed."""
    for name in names:
        stage = next((item for item in stage.get("parts", ()) if item["stage"] == name), {})
    return stage


def passes(stage):
    """How often each stage was passed, wherever it was."""
    found = Counter({stage["stage"]: stage["passes"]})
    for item in stage.get("parts", ()):
        found += passes(item)
    return found


def test_an_export_reads_exports_calibrates_and_quantizes_once(project):
    told_of = passes(told("export", "--int8", "static", "--no-latency", "-c", project / "edgefair.yaml"))
    once = ("reading the rows", "exporting to ONNX", "preparing the graph", "calibrating", "quantizing")
    assert {name: told_of[name] for name in once} == dict.fromkeys(once, 1)
    # One probe for all questions on the way, and one of its own for the verdict.
    assert told_of["asking the target to hello"] == 2


def test_trials_of_a_repair_share_a_probe_and_the_file_that_ships_is_that_of_its_trial(project):
    (project / "coarse.yaml").write_text(COARSE)
    moves = ["calibration", "bias", "float"]
    edit(project, compress__calibration="coarse.yaml", policy__max_accuracy_drop=0.01, compress__repair__moves=moves)
    found = told("export", "--int8", "static", "--no-latency", "-c", project / "edgefair.yaml")
    trials = part(found, "choosing the compression", "trial")
    assert trials["passes"] > 1
    assert part(trials, "making the file", "quantizing")["passes"] == trials["passes"]
    assert "parts" not in part(found, "making the file")
    told_of = passes(found)
    assert told_of["asking the target to hello"] == 2
    assert told_of["preparing the graph"] == 1
    assert told_of["reading the rows"] == 1


def test_a_verification_opens_each_file_once_on_one_probe(shipped):
    told_of = passes(told("verify", shipped / "dist/small", "--no-latency", "-c", shipped / "edgefair.yaml"))
    assert told_of["reading the rows"] == 1
    assert told_of["asking the target to hello"] == 1
    assert told_of["asking the target to load"] == 2, "the file and its reference"
    assert told_of["deciding rows"] == 2


def test_trials_of_a_search_read_the_rows_once(project):
    flags = ("--tune", 2, "--debias", "reweigh", "--epochs", 1, "--name", "best")
    told_of = passes(told("train", "-c", project / "edgefair.yaml", *flags))
    assert told_of["epochs"] == 2
    assert told_of["reading the rows"] == 1


@pytest.mark.parametrize("command", ["compare", "explain"])
def test_what_compares_files_reads_the_rows_once(shipped, command):
    files = [shipped / "dist/small/reference/model.onnx", shipped / "dist/small/model.onnx"]
    subject = files if command == "compare" else [shipped / "dist/small"]
    told_of = passes(told(command, *subject, "-c", shipped / "edgefair.yaml"))
    assert told_of["reading the rows"] == 1
    assert told_of["asking the target to hello"] == 1


def test_a_verification_loads_nothing_that_it_does_not_use(shipped):
    code, modules = loaded_by("verify", shipped / "dist/small", "--no-latency", "-c", shipped / "edgefair.yaml")
    assert code == 0
    assert not modules & (HEAVY | NOT_TO_JUDGE_TABLES)
