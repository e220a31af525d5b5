"""What CI systems are given, asked and unasked, by verdicts and by errors."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.attacks.hostile_names import TAME, make_project, run

VERIFY = ("verify", "m.onnx", "--no-latency")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project, and a model whose outputs are not numbers."""
    folder = make_project(tmp_path_factory.mktemp("project"), **TAME)
    model = onnx.load(folder / "m.onnx")
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.full(2, np.nan, np.float32), "B"))
    onnx.save(model, folder / "nan.onnx")
    return folder


@pytest.fixture
def project(made, monkeypatch, tmp_path):
    """The project as working directory, outside of every CI system."""
    for name in ("GITHUB_ACTIONS", "GITHUB_WORKSPACE", "GITLAB_CI", "CI_PROJECT_DIR", "EDGEFAIR_NO_CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def github(project, monkeypatch, tmp_path):
    """A step of GitHub Actions; the folder of its files."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.parent))
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.setenv(name, str(tmp_path / name))
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.fixture
def gitlab(project, monkeypatch, tmp_path):
    """A job of GitLab; the folder of its project."""
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    return tmp_path


def outputs(github):
    """The outputs as the runner reads them: NAME<<END, lines, END."""
    found, lines = {}, iter((github / "GITHUB_OUTPUT").read_text().splitlines())
    for line in lines:
        name, _, end = line.partition("<<")
        found[name] = "\n".join(iter(lambda: next(lines), end))
    return found


@pytest.mark.parametrize(
    ("flags", "code", "outcome"),
    [
        ((), 0, "PASS"),
        (("--min-balanced-accuracy", "0.99"), 1, "FAIL"),
        (("--max-eo-gap", "0.0001"), 3, "INCONCLUSIVE"),
    ],
)
def test_a_step_of_github_gets_summary_annotations_and_outputs(github, project, flags, code, outcome):
    done = run(*VERIFY, *flags, "--format", "json=report.json")
    assert done.exit_code == code
    assert outputs(github) == {"outcome": outcome, "exit_code": str(code), "report": "report.json"}
    assert (github / "GITHUB_STEP_SUMMARY").read_text().startswith(f"## edgefair: {outcome} ")
    annotations = [line for line in done.stderr.splitlines() if line.startswith("::error ")]
    assert bool(annotations) == (code != 0)
    lines = (project / "edgefair.yaml").read_text().splitlines()
    for line in annotations:
        place = dict(item.split("=") for item in line.split("::")[1].removeprefix("error ").split(",")[:2])
        assert place["file"] == f"{project.name}/edgefair.yaml"
        assert lines[int(place["line"]) - 1].strip() in {"policy:", "max_eo_gap: 0.1"}
    assert "::error" not in done.stdout


def test_the_report_of_an_export_is_named_where_it_is(github):
    shipped = run("export", "m.onnx", "--no-latency", "-o", "out/a")
    assert (shipped.exit_code, outputs(github)["report"]) == (0, "out/a/report.json")
    blocked = run("export", "m.onnx", "--no-latency", "-o", "out/b", "--min-balanced-accuracy", "0.99")
    assert (blocked.exit_code, outputs(github)["report"]) == (1, "out/b.blocked.json")
    for path in ("out/a/report.json", "out/b.blocked.json"):
        assert json.loads(Path(path).read_text())["schema"] == "edgefair.report/2"


def test_summaries_of_one_step_are_added_up_and_stay_small_enough(github):
    (github / "GITHUB_STEP_SUMMARY").write_text("x" * ((1 << 20) - 300))
    assert run(*VERIFY).exit_code == 0
    assert (1 << 20) - 300 <= (github / "GITHUB_STEP_SUMMARY").stat().st_size <= 1 << 20


def test_a_failed_measurement_is_an_annotation_and_an_output(github):
    done = run("verify", "nan.onnx", "--no-latency")
    assert done.exit_code == 4
    assert outputs(github) == {"outcome": "ERROR", "exit_code": "4"}
    assert "::error title=edgefair%3A no verdict::" in done.stderr
    assert "no verdict" in (github / "GITHUB_STEP_SUMMARY").read_text()


@pytest.mark.parametrize("flags", [("--no-ci",), ()])
def test_it_can_be_switched_off(github, monkeypatch, flags):
    if not flags:
        monkeypatch.setenv("EDGEFAIR_NO_CI", "1")
    for arguments in (VERIFY, ("verify", "nan.onnx", "--no-latency")):
        assert "::error" not in run(*arguments, *flags).output
    assert [(github / name).read_text() for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")] == ["", ""]


def test_a_file_that_github_does_not_give_changes_no_verdict(github, monkeypatch):
    monkeypatch.setenv("GITHUB_OUTPUT", str(github / "absent/output"))
    done = run(*VERIFY)
    assert done.exit_code == 0
    assert "the CI system was not given the result" in done.stderr


def test_a_job_of_gitlab_gets_its_reports(gitlab):
    assert run(*VERIFY, "--min-balanced-accuracy", "0.99").exit_code == 1
    assert {path.name for path in gitlab.iterdir()} == {
        "edgefair-junit.xml", "edgefair-codequality.json", "edgefair-metrics.txt"
    }  # fmt: skip
    assert ElementTree.parse(gitlab / "edgefair-junit.xml").getroot().get("failures") == "1"
    (issue,) = json.loads((gitlab / "edgefair-codequality.json").read_text())
    assert issue["check_name"] == "edgefair/balanced_accuracy_floor"
    assert 'edgefair_gate_green{target="local",gate="eo_gap"} 1\n' in (gitlab / "edgefair-metrics.txt").read_text()


def test_an_error_in_gitlab_leaves_no_verdict_of_before(gitlab):
    assert run(*VERIFY).exit_code == 0
    assert run("verify", "nan.onnx", "--no-latency").exit_code == 4
    assert [path.name for path in gitlab.iterdir()] == ["edgefair-junit.xml"]
    assert ElementTree.parse(gitlab / "edgefair-junit.xml").getroot().get("errors") == "1"


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (("verify", "nan.onnx", "--no-latency"), 4, "MeasurementError"),
        (("verify", "absent.onnx"), 2, "ModelError"),
        (("verify", "m.onnx", "--alpha", "2"), 2, "PolicyError"),
        (("verify", "m.onnx", "--no-such-flag"), 2, "UsageError"),
        (("verfy",), 2, "UsageError"),
    ],
)
def test_an_error_is_json_on_stdout_where_json_was_asked_for(project, arguments, code, kind):
    for flags in (("--json",), ("--format", "json"), ("--format=json",)):
        done = run(*arguments, *flags)
        assert done.exit_code == code
        said = json.loads(done.stdout)
        assert (said["schema"], said["kind"], said["exit_code"]) == ("edgefair.error/1", kind, code)
        assert said["found"] in done.stderr
    assert run(*arguments).stdout == ""


def test_an_error_is_a_testcase_where_junit_was_asked_for(project, tmp_path):
    file, old = tmp_path / "gate.xml", tmp_path / "report.json"
    old.write_text("old")
    done = run("verify", "nan.onnx", "--no-latency", "--format", f"junit={file}", "--format", f"json={old}")
    assert (done.exit_code, done.stdout, old.read_text()) == (4, "", "old")
    (case,) = ElementTree.parse(file).getroot().iter("testcase")
    assert case.find("error").get("type") == "MeasurementError"
    assert run("verify", "nan.onnx", "--no-latency", "--format", f"junit={tmp_path}/absent/a").exit_code == 2


def test_a_format_that_does_not_hold_the_result_is_refused_before_the_work(project):
    for command in (("plan", "--simulations", "50"), ("data", "describe"), ("compare", "m.onnx", "other.onnx")):
        done = run(*command, "--format", "sarif=a.sarif")
        assert done.exit_code == 2
        assert "holds verdicts of `export` and `verify`" in done.stderr
    assert not Path("a.sarif").exists()
