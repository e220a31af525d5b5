"""Asking a sealed audit set until an unfair model passes: every ask is spent, and the set tells one bit."""

import json
import os
import re

import jsonschema
import pytest

import edgefair
from edgefair.errors import UsageError
from edgefair.report.schema import schema_of
from tests.attacks.judged import linear, people, report, run, spec, write_project
from tests.attacks.sealed import LEDGER, SEALED, audit, events, export, ledger, lines, project, refused, verify

__all__ = ["project"]
ALPHA = 0.05
OPEN = ("--set", "policy.audit=open")


def test_three_models_are_not_pass_and_the_fourth_passes_at_its_own_level(project):
    for number, model in enumerate(("unfair.onnx", "worse.onnx", "unfair.onnx"), start=1):
        code, found = verify(project, model)
        assert (code, found["outcome"], found["targets"]) == (3, "INCONCLUSIVE", [])
        jsonschema.validate(found, schema_of("report"))
        assert found["seal"]["verdict"] == number
        assert found["seal"]["level"] == ALPHA / (number * (number + 1))
        assert found["seal"]["head"] == lines(project)[-1]["digest"]
    code, found = verify(project)
    assert (code, found["outcome"], found["seal"]["verdict"]) == (0, "PASS", 4)
    jsonschema.validate(found, schema_of("report"))
    assert found["targets"][0]["verdict"]["alpha"] == found["seal"]["level"] == ALPHA / 20
    assert events(project) == ["asked"] * 4 + ["passed"]
    assert [line["outcome"] for line in ledger(project)] == ["INCONCLUSIVE"] * 3 + ["PASS"]


def of_any_model(text):
    """What was said, without what names the model file, the moment, or the account's last line."""
    return re.sub(r"[0-9a-f]{16,64}|\d{4}-\d\d-\d\dT[\d:+]+", "X", text)


def told(folder, weights):
    """All that is printed and written about a model that does not PASS."""
    write_project(folder, SEALED)
    linear(folder / "m.onnx", weights, said=spec())
    said = []
    for command in ("verify", "export"):
        for form in ((), ("--json",)):
            done = run(command, folder, folder / "m.onnx", "--no-latency", *form)
            said += [
                done.exit_code,
                done.stdout,
                done.stderr.replace(str(folder), "").replace(os.path.relpath(folder), ""),
            ]
    said += [path.read_text() for path in sorted(folder.rglob("*.json*"))]
    assert len(said) == 12 + 3, "a blocked report, the ledger and the account"
    return [of_any_model(item) if isinstance(item, str) else item for item in said]


def test_models_that_fail_and_models_that_are_close_are_answered_with_the_same_words(tmp_path):
    """FAIL, INCONCLUSIVE, and FAIL for another reason, by an open verdict."""
    answers = {}
    for name, weights in (("unfair", (2.0, 1.0, 0.0)), ("close", (2.0, 0.4, 0.0)), ("constant", (0.0, 0.0, 0.0))):
        answers[name] = told(tmp_path / name, weights)
        open_project = tmp_path / f"{name} open"
        write_project(open_project)
        outcome = report("verify", open_project, tmp_path / name / "m.onnx", "--no-latency")[1]["outcome"]
        assert outcome == {"unfair": "FAIL", "close": "INCONCLUSIVE", "constant": "FAIL"}[name]
    assert answers["unfair"] == answers["close"] == answers["constant"]
    text = " ".join(str(item) for item in answers["close"])
    assert "not PASS BLOCKED" in text
    for word in ("FAIL", "equalized-odds", "TPR", "estimate", "accuracy 0"):
        assert word not in text


def test_a_pass_opens_the_seal_and_only_its_own_model_is_answered_again(project):
    assert export(project).exit_code == 0
    bundle = project / "dist/people"
    for _ in range(2):
        code, found = report("verify", project, bundle, "--no-latency")
        assert (code, found["seal"]["verdict"]) == (0, 1), "its CI job asks again, which is free"
    assert events(project) == ["asked", "passed"]
    message = refused(project, "verify", project / "unfair.onnx", "--no-latency")
    assert "a model PASSed at" in message
    assert "policy.audit: open" in message
    assert "a model PASSed at" in refused(project, "verify", bundle, "--no-latency", "--max-eo-gap", 0.09)
    assert run("compare", project, project / "unfair.onnx", bundle).exit_code == 0, "its numbers are known"


def test_numbers_of_sealed_rows_are_refused_to_every_command_that_shows_them(project):
    verify(project, "unfair.onnx")
    unfair, fair = project / "unfair.onnx", project / "fair.onnx"
    for policy in ((), OPEN):
        assert "sealed audit rows" in refused(project, "compare", unfair, fair, *policy)
    assert "sealed audit rows" in refused(project, "verify", unfair, "--no-latency", *OPEN)
    assert "sealed audit rows" in refused(project, "export", unfair, "--no-latency", *OPEN)
    assert "a record holds" in refused(project, "verify", unfair, "--no-latency", "--record", project / "r.npz")
    config = edgefair.load_config(project / "edgefair.yaml", {"policy.audit": "open"})
    with pytest.raises(UsageError, match="sealed audit rows"):
        edgefair.verify(config, fair)
    with pytest.raises(UsageError, match="sealed audit rows"):
        edgefair.compare(config, unfair, fair)


def test_a_record_that_was_made_before_the_rows_were_sealed_is_not_judged(project):
    record = project / "r.npz"
    assert run("verify", project, project / "unfair.onnx", "--no-latency", "--record", record, *OPEN).exit_code == 1
    (project / LEDGER).unlink()  # it was made beside another config
    assert "a record holds" in refused(project, "verify", "--from-record", record)
    verify(project, "unfair.onnx")
    assert "sealed audit rows" in refused(project, "verify", "--from-record", record, *OPEN)
    assert "sealed audit rows" in refused(project, "compare", record, record)


def test_sealed_rows_under_the_name_of_validation_rows_are_refused(tmp_path):
    rows = people(3000)
    rows["part"] = ["train"] * 1000 + ["validation"] * 1000 + ["audit"] * 1000
    split = "  split: {column: part, train: [train], validation: [validation], audit: [audit]}\npolicy:\n"
    write_project(tmp_path, SEALED.replace("policy:\n", split), rows)
    linear(tmp_path / "m.onnx", (2.0, 1.0, 0.0), said=spec())
    explained = ("explain", tmp_path, tmp_path / "m.onnx", "--rows", 8)
    assert run(*explained).exit_code == 0
    verify(tmp_path, "m.onnx")
    assert run(*explained).exit_code == 0, "validation rows are nobody's secret, and cost nothing"
    assert events(tmp_path) == ["asked"]
    swapped = ("--set", "data.split.validation=[audit]", "--set", "data.split.audit=[validation]")
    assert "validation rows are audit rows that were sealed" in refused(tmp_path, "explain", *explained[2:], *swapped)
    assert "validation rows are audit rows" in refused(tmp_path, "export", tmp_path / "m.onnx", "--int8", *swapped)


def test_rows_whose_numbers_were_shown_are_not_sealed_afterwards(project):
    assert report("verify", project, project / "unfair.onnx", "--no-latency", *OPEN)[0] == 1
    message = refused(project, "verify", project / "unfair.onnx", "--no-latency")
    assert "were judged in the open before: 1 times" in message
    assert events(project) == []


def test_an_opened_set_shows_its_numbers_and_carries_no_sealed_verdict(project):
    verify(project, "unfair.onnx")
    status = json.loads(audit(project, "status", "--json").stdout)
    assert (status["asked"], status["next_level"], status["opened"]) == (1, ALPHA / 6, None)
    opened = audit(project, "open", "--reason", "why was it blocked?")
    assert opened.exit_code == 0
    assert "OPENED" in opened.stdout
    assert "why was it blocked?" in audit(project, "status").stdout
    again = audit(project, "open")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "is open already" in again.stderr
    assert "was opened" in refused(project, "verify", project / "fair.onnx", "--no-latency")
    assert "was opened" in refused(project, "export", project / "fair.onnx", "--no-latency")
    code, found = verify(project, "unfair.onnx", *OPEN)
    assert (code, found["seal"]) == (1, None)
    assert found["targets"]
    assert events(project) == ["asked", "opened"]
