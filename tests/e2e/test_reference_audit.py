"""A reference is audited once on many rows; after that every export is judged by it, on few."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from edgefair.bundle.redecision import check_decision
from edgefair.cli import main
from edgefair.errors import ModelError
from edgefair.files import sha256_json
from edgefair.probe.bundles.runtime import load
from edgefair.workflow.clock import today
from tests.attacks.judged import CONFIG, gate, linear, people, report, run, write_project
from tests.bundle.small_bundle import private_key, public_pem, write_key
from tests.e2e.commands import run as command

FEW = CONFIG.replace("max_eo_gap: 0.1", "max_eo_gap: 0.06").replace(
    "  id: id", "  id: id\n  split: {audit_fraction: 0.9}"
)
AUDIT = "fp32.audit.json"


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A project of few rows with an audit of fp32.onnx on many, signed; the model, an INT8 bundle and keys."""
    root = tmp_path_factory.mktemp("audited")
    many, few = (
        write_project(root / "many", FEW, people(40_000, seed=1)),
        write_project(root / "few", FEW, people(1500)),
    )
    for folder in (many, few):
        linear(folder / "fp32.onnx")
    done = run(
        "verify", many, many / "fp32.onnx", "--uncompressed", "--no-latency", "--write-reference-audit", few / AUDIT
    )
    assert done.exit_code == 0, done.output
    write_key(few / "key.pem")
    (few / "key.pub").write_bytes(public_pem(private_key()))
    (few / "other.pub").write_bytes(public_pem(private_key(2)))
    signed = run_sign(few / AUDIT, few / "key.pem")
    assert signed.exit_code == 0, signed.output
    exported = run("export", few, few / "fp32.onnx", "--int8", "--no-latency", "--reference-audit", few / AUDIT)
    assert exported.exit_code == 0, exported.output
    return few


def run_sign(path, key):
    return CliRunner().invoke(main, ["sign", str(path), "--key", str(key)], catch_exceptions=False)


def judge(folder, *more):
    return report("verify", folder, folder / "dist/people", "--no-latency", *more)


def refused(folder, *more, audit=AUDIT):
    """A verdict that is not even measured; its message."""
    ledger = (folder / "edgefair.ledger.jsonl").read_text()
    done = run("verify", folder, folder / "dist/people", "--no-latency", "--reference-audit", folder / audit, *more)
    assert done.exit_code == 2, done.output
    assert "deciding" not in done.stderr
    assert (folder / "edgefair.ledger.jsonl").read_text() == ledger
    return done.stderr


def edited(folder, change, name="edited.json"):
    content = json.loads((folder / AUDIT).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    return name


def test_few_rows_that_tell_nothing_alone_decide_with_the_audit_of_the_reference(audited):
    alone, with_audit = judge(audited), judge(audited, "--reference-audit", audited / AUDIT)
    assert (alone[0], with_audit[0]) == (3, 0)
    found = gate(with_audit[1], "equalized-odds gap")
    joined = found["binding"]["joined"]
    assert joined["reference"] + joined["change"] == pytest.approx(found["binding"]["difference"])
    assert min(joined["n_a"], joined["n_b"]) > 8000
    assert found["upper"] < gate(alone[1], "equalized-odds gap")["upper"]


def test_the_report_says_whose_limits_these_are_and_who_signed(audited):
    done = run(
        *("verify", audited, audited / "dist/people", "--no-latency", "--reference-audit", audited / AUDIT),
        *("--reference-audit-key", audited / "key.pub"),
    )
    text = " ".join(done.stdout.split())
    assert "the audited reference's" in text
    assert "signed by key" in text
    assert "rows of 'people.parquet'" in text


def test_a_record_is_judged_with_the_audit_as_the_measurement_was(audited, tmp_path):
    raw, audit = tmp_path / "raw.npz", ("--reference-audit", audited / AUDIT)
    model, reference = audited / "dist/people/model.onnx", audited / "fp32.onnx"
    code, first = report("verify", audited, model, "--reference", reference, "--no-latency", "--record", raw, *audit)
    again = report("verify", audited, "--from-record", raw, *audit)
    assert (code, gate(first, "equalized-odds gap")) == (again[0], gate(again[1], "equalized-odds gap"))


def test_a_record_of_other_people_than_the_audit_is_refused(audited, tmp_path):
    raw, audit = tmp_path / "raw.npz", ("--reference-audit", audited / AUDIT)
    model, reference = audited / "dist/people/model.onnx", audited / "fp32.onnx"
    few = ("--set", "data.where={sex: [f, m]}", "--record", raw)
    report("verify", audited, model, "--reference", reference, "--no-latency", *few)
    done = run("verify", audited, "--from-record", raw, *audit)
    assert (done.exit_code, "made with data.where" in done.stderr) == (2, True), done.output


def test_the_verdict_is_taken_again_from_the_report_and_a_forged_audit_is_not(audited):
    shipped = json.loads((audited / "dist/people/report.json").read_text())
    check_decision(shipped, today=today())
    evidence = shipped["targets"][0]["evidence"]["reference_audit"]
    for change in (
        lambda item: item.update(model="0" * 64),
        lambda item: item["counts"]["table"][0][1].reverse(),
        lambda item: item["counts"].update(classes=["a", "b"]),
    ):
        forged = json.loads(json.dumps(shipped))
        change(forged["targets"][0]["evidence"]["reference_audit"])
        with pytest.raises(ModelError):
            check_decision(forged, today=today())
    without = json.loads(json.dumps(shipped))
    del without["targets"][0]["evidence"]["reference_audit"]
    with pytest.raises(ModelError):
        check_decision(without, today=today())
    assert evidence["counts"]["table"]


def test_a_bundle_that_rests_on_an_audit_is_signed_and_loaded(audited, tmp_path):
    bundle = shutil.copytree(audited / "dist/people", tmp_path / "bundle")
    assert run_sign(bundle, audited / "key.pem").exit_code == 0
    load(bundle, public_pem(private_key()))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["policy.attributes.sex.groups=[m, f]"], "has the groups f, m"),
        (["policy.attributes.sex.groups=[f, m, x]"], "has the groups f, m"),
        (["data.positive=no"], "data.positive: yes"),
        (["data.where={sex: [f, m]}"], "data.where"),
    ],
)
def test_the_audit_of_other_labels_groups_or_people_is_refused(audited, settings, said):
    assert said in " ".join(refused(audited, *(part for item in settings for part in ("--set", item))).split())


def test_the_audit_of_another_model_is_refused(audited):
    other = linear(audited / "other.onnx", weights=(2.0, 0.1, 0.0))
    done = run(
        *("verify", audited, audited / "dist/people/model.onnx", "--reference", other, "--no-latency"),
        *("--reference-audit", audited / AUDIT),
    )
    assert (done.exit_code, "the audit is that of" in done.stderr) == (2, True)
    assert "deciding" not in done.stderr
    exported = run("export", audited, other, "--int8", "--no-latency", "--reference-audit", audited / AUDIT)
    assert (exported.exit_code, "calibrating" in exported.stderr) == (2, False)


def test_the_audited_model_itself_and_a_model_without_reference_have_nothing_to_join(audited):
    audit = ("--no-latency", "--reference-audit", audited / AUDIT)
    same = run("verify", audited, audited / "fp32.onnx", "--uncompressed", *audit)
    assert (same.exit_code, "nothing was compressed" in same.stderr) == (2, True)
    alone = run("verify", audited, audited / "dist/people/model.onnx", *audit)
    assert (alone.exit_code, "no model before compression" in alone.stderr) == (2, True)


def test_the_audit_of_another_kind_of_device_is_refused(audited):
    def elsewhere(content):
        content["audit"]["devices"][0]["device"]["machine"] = "riscv64"
        content["sha256"] = sha256_json(content["audit"])

    assert "was not audited on such a device" in refused(audited, audit=edited(audited, elsewhere))


def more_people(content):
    content["audit"]["devices"][0]["counts"]["table"][0][0][0] += 1000


def more_people_and_its_digest(content):
    more_people(content)
    content["sha256"] = sha256_json(content["audit"])


@pytest.mark.parametrize("change", [more_people, more_people_and_its_digest, lambda item: item.update(schema="x")])
def test_an_edited_audit_is_refused(audited, change):
    assert "is not a reference audit" in refused(audited, audit=edited(audited, change))


def test_a_cut_a_missing_and_an_odd_file_are_refused(audited):
    whole = (audited / AUDIT).read_bytes()
    (audited / "cut.json").write_bytes(whole[: len(whole) // 2])
    for name in ("cut.json", "nope.json", "fp32.onnx", "dist", "people.parquet"):
        assert "reference audit" in refused(audited, audit=name)
    assert "reference audit" in refused(audited, audit="/dev/zero")


def test_only_the_key_that_signed_it_is_accepted(audited):
    key = ("--reference-audit-key", audited / "other.pub")
    assert "signatures is by the key" in refused(audited, *key)
    moved = edited(audited, lambda content: content.update(signatures=[]), "unsigned.json")
    assert "none of its 0 signatures" in refused(audited, "--reference-audit-key", audited / "key.pub", audit=moved)

    def forged(content):
        content["audit"]["created"] = "2020-01-01"
        content["sha256"] = sha256_json(content["audit"])

    forgery = edited(audited, forged, "forged.json")
    assert "signatures is by the key" in refused(audited, "--reference-audit-key", audited / "key.pub", audit=forgery)


def test_people_with_several_rows_are_judged_by_an_audit_of_people(tmp_path):
    config = FEW.replace("  id: id\n", "  subject: person\n").replace(
        "features: [a, b, c]", "features: [a, b, c]\n  exclude: [id]"
    )
    many, few = people(24_000, seed=1), people(3000)
    for rows in (many, few):
        count = len(rows["id"])
        rows["person"] = np.array([f"{sex}{row // 2}" for row, sex in zip(range(count), rows["sex"], strict=True)])
    one, other = write_project(tmp_path / "many", config, many), write_project(tmp_path / "few", config, few)
    for folder in (one, other):
        linear(folder / "fp32.onnx")
    write = ("--write-reference-audit", other / AUDIT)
    assert run("verify", one, one / "fp32.onnx", "--uncompressed", "--no-latency", *write).exit_code == 0
    done = run("export", other, other / "fp32.onnx", "--int8", "--no-latency", "--reference-audit", other / AUDIT)
    assert done.exit_code == 0, done.output
    again = run("export", other, other / "fp32.onnx", "--int8", "--no-latency", "--reference-audit", other / AUDIT,
                "--set", "policy.subject_weights=rows")  # fmt: skip
    assert (again.exit_code, "counts people" in again.stderr) == (2, True)
    rows_only = config.replace("  subject: person\n", "").replace("exclude: [id]", "exclude: [id, person]")
    (other / "edgefair.yaml").write_text(rows_only)
    plain = run("export", other, other / "fp32.onnx", "--int8", "--no-latency", "--reference-audit", other / AUDIT)
    assert (plain.exit_code, "data.subject" in plain.stderr) == (2, True)


def test_a_training_run_is_audited_by_its_uncompressed_bundle(project):
    config = ("-c", project / "edgefair.yaml", "--no-latency")
    plain = command("export", "-o", project / "dist/plain", *config)
    assert plain.exit_code == 0, plain.output
    audit = project / AUDIT
    written = command("verify", project / "dist/plain", "--write-reference-audit", audit, *config)
    assert written.exit_code == 0, written.output
    done = command("export", "--int8", "--reference-audit", audit, *config)
    assert (done.exit_code, "the audited reference's" in done.output) == (0, True), done.output


def test_what_is_no_audit_is_not_signed_and_stays_as_it_is(audited):
    path = audited / "fp32.onnx"
    before = path.read_bytes()
    done = CliRunner().invoke(main, ["sign", str(path), "--key", str(audited / "key.pem")])
    assert (done.exit_code, "is not a reference audit" in done.stderr) == (2, True)
    assert path.read_bytes() == before


def test_a_key_without_an_audit_is_refused(audited):
    done = run("verify", audited, audited / "dist/people", "--reference-audit-key", audited / "key.pub")
    assert (done.exit_code, "without --reference-audit" in done.stderr) == (2, True)


def test_an_audit_that_cannot_be_written_is_said_before_anything_is_measured(audited):
    write = ("--write-reference-audit", audited / "nowhere/audit.json")
    done = run("verify", audited, audited / "fp32.onnx", "--uncompressed", "--no-latency", *write)
    assert (done.exit_code, "deciding" in done.stderr) == (2, False)
