"""Errors name what is wrong, where it was said, and what was meant."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from edgefair.cli import main
from edgefair.config import load_config
from edgefair.errors import PolicyError
from tests.attacks.judged import linear, people, spec, write_project


def run(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments], catch_exceptions=False)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(write_project(tmp_path))
    linear(tmp_path / "m.onnx", said=spec())
    return tmp_path


@pytest.mark.parametrize(("typed", "meant"), [("verfy", "verify"), ("expport", "export"), ("describe", None)])
def test_an_unknown_command_is_answered_with_the_nearest_one(typed, meant):
    refused = run(typed)
    assert refused.exit_code == 2
    assert f"No such command '{typed}'" in refused.stderr
    assert (f"did you mean '{meant}'?" in refused.stderr) == (meant is not None)


@pytest.mark.parametrize("flags", [("--max-eo-gap", "2"), ("--set", "policy.max_eo_gap=2")])
def test_a_flag_that_cannot_be_is_blamed_on_the_flag_and_a_key_of_the_file_on_the_file(project, flags):
    refused = run("verify", "m.onnx", *flags)
    assert refused.exit_code == 2
    assert "error: flag or --set: policy.max_eo_gap: " in refused.stderr
    path = project / "edgefair.yaml"
    path.write_text(path.read_text().replace("max_eo_gap: 0.1", "max_eo_gap: 2"))
    assert "error: edgefair.yaml: policy.max_eo_gap: " in run("verify", "m.onnx", "--alpha", "0.1").stderr
    with pytest.raises(PolicyError, match=r"flag or --set: policy\.attributes\.sex\.groups: a single group"):
        load_config(path, {"policy.max_eo_gap": 0.1, "policy.attributes": {"sex": {"groups": ["f"]}}})


@pytest.mark.parametrize("command", [("verify",), ("compare", "m.onnx")])
def test_rows_where_a_model_is_asked_for_are_said_to_be_rows(project, command):
    Path("adult.csv").write_text("a,b\n1,2\n")
    refused = run(*command, "adult.csv")
    assert refused.exit_code == 2
    assert "'adult.csv' holds rows, not a model" in refused.stderr
    assert "--data adult.csv" in refused.stderr


def test_exemplars_tell_whose_rows_they_are(project):
    rows = people()
    rows["person"] = [f"p{row // 2}" for row in range(len(rows["id"]))]
    text = (project / "edgefair.yaml").read_text().replace("  id: id\n", "  id: id\n  subject: person\n")
    write_project(project, text, rows)
    linear(project / "other.onnx", (0.0, 2.0, 0.0), said=spec())
    told = run("compare", "m.onnx", "other.onnx", "--exemplars", "changed.csv")
    assert told.exit_code == 0
    assert "position among the audit rows" not in told.stderr
    header, first, *_ = Path("changed.csv").read_text().splitlines()
    assert header == "row,id,subject,label,before,after,sex"
    row, subject = (first.split(",")[place] for place in (1, 2))
    assert int(subject[1:]) == int(row[1:]) // 2
    (project / "edgefair.yaml").write_text(text.replace("  id: id\n", ""))
    nameless = run("compare", "m.onnx", "other.onnx", "--exemplars", "changed.csv")
    assert "changed.csv: `row` is a position among the audit rows; set data.id" in nameless.stderr
