"""Comparing models and records, the ledger, subjects and waivers, through the command line."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml

from edgefair.bundle.manifest import open_bundle
from tests.e2e.commands import ROWS, change, edit, refused, run


@pytest.fixture
def bundle(shipped, project):
    return shutil.copytree(shipped / "dist/small", project / "bundle")


def verify(project, *arguments):
    return run("verify", "-c", project / "edgefair.yaml", "--no-latency", *arguments)


def compared(project, *arguments):
    result = run("compare", "-c", project / "edgefair.yaml", "--json", *arguments)
    assert result.exit_code in {0, 1, 3}, result.output
    return result.exit_code, json.loads(result.stdout)


def test_models_and_their_records_compare_alike(project, bundle):
    reference = bundle / "reference/model.onnx"
    code, direct = compared(project, reference, bundle, "--max-eo-increase", 0.05)
    assert (code, direct["outcome"], direct["paired"]) == (0, "PASS", True)
    for model, record in ((reference, "before.npz"), (bundle, "after.npz")):
        verify(project, model, "--record", project / record)
    (project / "people.parquet").unlink()
    _, saved = compared(project, project / "before.npz", project / "after.npz", "--max-eo-increase", 0.05)
    for report in (direct, saved):
        report.pop("before")
        report.pop("after")
    assert saved == direct


def judge_fewer(project):
    """Leave every third row out; the training rows stay what they are."""
    kinds = np.where(np.arange(ROWS) % 2 == 0, "train", np.where(np.arange(ROWS) % 3 == 0, "spare", "test"))
    change(project, part=kinds)
    edit(project, data__split__unused="spare")


def test_records_of_other_rows_are_compared_as_independent_samples_and_said_so(project, bundle):
    verify(project, bundle, "--record", project / "one.npz")
    judge_fewer(project)
    verify(project, bundle, "--record", project / "other.npz")
    code, report = compared(project, project / "one.npz", project / "other.npz")
    assert code == 0
    assert not report["paired"]
    assert "different rows (8,000 and 5,333)" in report["why_unpaired"]
    assert report["flips"] == []
    message = refused(project, "compare", project / "one.npz", project / "other.npz", "--exemplars", project / "e.csv")
    assert "no exemplars can be written" in message


def test_exemplars_are_the_rows_whose_decision_changed(project, bundle):
    flags = (bundle / "reference/model.onnx", bundle, "--exemplars", project / "changed.csv")
    _, report = compared(project, *flags)
    with (project / "changed.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == sum(cell["flipped"] for cell in report["flips"]) > 0
    assert all(row["before"] != row["after"] for row in rows)
    assert {row["sex"] for row in rows} <= {"F", "M"}


def test_a_file_that_is_no_record_is_refused(project):
    np.savez(project / "x.npz", a=np.zeros(3))
    (project / "y.npz").write_bytes(b"garbage")
    for name in ("x.npz", "y.npz", "absent.npz"):
        assert "is not a record" in refused(project, "compare", project / name, project / name)


def test_the_paired_gate_is_judged_in_verify(project, bundle):
    assert verify(project, bundle, "--max-eo-increase", 0.05).exit_code == 0
    (bundle / "reference/model.onnx").unlink()
    result = verify(project, bundle, "--max-eo-increase", 0.05)
    assert result.exit_code == 3
    assert "no reference model was measured" in result.stdout


def test_the_ledger_counts_verdicts_and_models_on_the_same_rows(project, bundle):
    def ledger(*arguments):
        return json.loads(verify(project, *arguments, "--json").stdout)["ledger"]

    assert ledger(bundle) == {"verdicts": 1, "models": 1, "tries": 1, "chance": 0.05}
    assert "by chance" not in verify(project, bundle).stdout
    assert ledger(bundle / "reference/model.onnx") == {"verdicts": 3, "models": 2, "tries": 2, "chance": 0.1}
    said = " ".join(verify(project, bundle).stdout.split())
    assert "verdict 4 on these rows, 2 models so far; were none of them within the thresholds" in said
    assert "with a probability of up to 10%, and of more where these rows helped to choose them" in said
    with (project / "edgefair.ledger.jsonl").open("a") as stream:
        stream.write('{"audit": "unfini')
    judge_fewer(project)
    assert ledger(bundle) == {"verdicts": 5, "models": 2, "tries": 3, "chance": pytest.approx(0.15)}, (
        "two thirds of the rows were judged before"
    )


def test_a_ledger_that_cannot_be_written_is_said_and_does_not_change_the_verdict(project, bundle):
    (project / "edgefair.ledger.jsonl").mkdir()
    result = verify(project, bundle)
    assert result.exit_code == 0
    assert "could not be written" in result.stdout


@pytest.mark.parametrize("counted", ["people", "rows"])
def test_rows_of_subjects_have_wider_limits_and_the_report_says_what_was_counted(project, bundle, counted):
    plain = json.loads(verify(project, bundle, "--json").stdout)["targets"][0]["verdict"]
    half = np.arange(ROWS) % 2
    change(project, who=(np.arange(ROWS) // 16) * 2 + half)
    edit(project, data__subject="who", policy__subject_weights=counted)
    report = json.loads(verify(project, bundle, "--json").stdout)
    one, other = (item["gates"][0] for item in (plain, report["targets"][0]["verdict"]))
    assert (other["estimate"] == pytest.approx(one["estimate"])) == (counted == "rows")
    assert other["upper"] > one["upper"]
    assert any(note.startswith(f"{counted} are judged") for note in report["notes"])


@pytest.mark.parametrize("counted", ["people", "rows"])
def test_gaps_of_rows_of_subjects_are_compared_as_verify_counts_them(project, bundle, counted):
    half = np.arange(ROWS) % 2
    change(project, who=(np.arange(ROWS) // 16) * 2 + half)
    edit(project, data__subject="who", policy__subject_weights=counted)
    models = bundle / "reference/model.onnx", bundle
    _, found = compared(project, *models)
    (gap,) = found["gaps"]
    for model, side in zip(models, ("before", "after"), strict=True):
        verdict = json.loads(verify(project, model, "--json").stdout)["targets"][0]["verdict"]
        assert gap[side] == pytest.approx(verdict["attributes"][0]["gap"]), side
    assert found["counted"] == counted
    text = run("compare", "-c", project / "edgefair.yaml", *models).stdout
    assert f"gaps and their change count {counted}" in text


def test_a_waiver_ships_what_would_fail_and_is_printed_until_it_expires(project, trained):
    shutil.copytree(trained / "unfair", project / "unfair")
    path = project / "unfair/edgefair.yaml"
    config = yaml.safe_load(path.read_text())

    def export(expires):
        waiver = {"comparison": "sex: FPR, F / M", "reason": "pilot", "owner": "Ada", "expires": expires}
        config["policy"] |= {"waivers": [waiver], "max_eo_gap": 0.27}
        path.write_text(yaml.safe_dump(config))
        return run("export", "--int8", "-c", path, "--no-latency")

    assert run("export", "--int8", "-c", path, "--no-latency", "--max-eo-gap", 0.27).exit_code == 3
    shipped = export("2999-01-01")
    assert shipped.exit_code == 0, shipped.output
    assert "EXCEPTION waiver until 2999-01-01 by Ada" in shipped.stdout
    assert open_bundle(project / "unfair/dist/small").manifest.outcome == "PASS"
    expired = export("2020-01-01")
    assert expired.exit_code == 2
    assert "expired on 2020-01-01" in expired.stderr
