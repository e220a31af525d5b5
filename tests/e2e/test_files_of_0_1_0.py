"""What edgefair 0.1.0 wrote before gates had ids is read, and what cannot be read is refused with what to do."""

import copy
import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import edgefair
from edgefair.bundle.manifest import open_bundle
from edgefair.bundle.redecision import check_decision
from edgefair.decision.evidence import Evidence
from edgefair.errors import ModelError
from edgefair.measure.counts import GroupCounts
from edgefair.probe.bundles.consistency import policy_digest
from edgefair.probe.bundles.gates import LOAD, MEMORY, NAMES, gate_id
from edgefair.probe.bundles.runtime import BundleError, load
from edgefair.report.schema import schema_of
from edgefair.workflow.measurement.judge import today
from tests.bundle.small_bundle import write_key
from tests.e2e.commands import edit, run
from tests.samples.people import write_people

SAMPLES = Path(__file__).parent.parent / "samples/0.1.0"
REPORT = json.loads((SAMPLES / "bundle/report.json").read_text())


@pytest.fixture
def project(tmp_path):
    """The project of the samples, each file where it was when it was written."""
    for name in ("edgefair.yaml", "edgefair.ledger.jsonl", "record.npz", "public.pem"):
        shutil.copy(SAMPLES / name, tmp_path / name)
    shutil.copytree(SAMPLES / "bundle", tmp_path / "dist/people")
    shutil.copytree(SAMPLES / "run", tmp_path / "runs/plain")
    write_people(tmp_path / "people.csv")
    return tmp_path


def done(project, command, *arguments, code=0):
    result = run(command, "-c", project / "edgefair.yaml", *arguments)
    assert result.exit_code == code, result.output
    return result


# Gates that there were none of yet.
LATER = {LOAD, MEMORY}


def outcomes(report):
    return {gate_id(gate): gate["outcome"] for gate in report["targets"][0]["verdict"]["gates"]}


def test_its_gates_had_no_ids_and_every_name_leads_to_one():
    (gates,) = (target["verdict"]["gates"] for target in REPORT["targets"])
    assert not any({"id", "direction"} & gate.keys() for gate in gates)
    assert {gate_id(gate) for gate in gates} == {*NAMES, "accuracy_difference"} - LATER


def test_its_report_fits_the_schema_and_its_verdict_can_be_taken_again():
    """With a waiver, an intersection, and every kind of gate."""
    jsonschema.validate(REPORT, schema_of("report"))
    check_decision(REPORT, today=today())


def test_an_earlier_verdict_that_todays_rules_do_not_give_is_refused_with_what_to_do():
    report = copy.deepcopy(REPORT)
    report["targets"][0]["verdict"]["outcome"] = "INCONCLUSIVE"
    with pytest.raises(ModelError, match=r"(?s)INCONCLUSIVE by earlier rules and PASS by today's.*export it again"):
        check_decision(report, today=today())


def test_limits_of_an_earlier_verdict_lie_within_todays_and_hold_the_estimate():
    for key, shift in (("lower", -0.2), ("upper", 0.2), ("lower", 0.2)):
        report = copy.deepcopy(REPORT)
        report["targets"][0]["verdict"]["gates"][0][key] += shift
        with pytest.raises(ModelError, match="contradicts itself"):
            check_decision(report, today=today())


def test_its_config_is_read_with_its_waiver_and_judges_as_it_did(project):
    config = edgefair.load_config(project / "edgefair.yaml")
    assert config.policy.waivers[0].comparison == "sex*age: TPR, Female*old / Male*young"
    new = {
        "subject_weights": "people",
        "decisions": "any",
        "audit": "open",
        "errors": {"labels": None, "attributes": {}, "audited": None},
        "max_load_ms": None,
        "max_peak_memory_mb": None,
    }
    assert config.policy.model_dump(mode="json") == REPORT["policy"] | new
    assert policy_digest(REPORT["policy"]) == REPORT["targets"][0]["verdict"]["policy_digest"]


def test_its_signed_bundle_is_loaded_on_a_device_inspected_and_judged_again(project):
    bundle, key = project / "dist/people", project / "public.pem"
    model = load(bundle, public_key=key)
    assert model.predict({"hours": [49.0, 31.0], "years": [10.0, 10.0]}).decision == ["yes", "no"]
    said = run("inspect", bundle, "--public-key", key, "--project", "people", "--counter", 3)
    assert said.exit_code == 0, said.output
    report = json.loads(
        done(project, "verify", "--json", "--no-latency", "--set", "policy.max_latency_p90_ms=null").stdout
    )
    assert outcomes(report) == {gate: "PASS" for gate in outcomes(REPORT) if gate != "latency_p90"}


def test_its_bundle_can_be_signed_by_another_key(project):
    key = write_key(project / "key.pem")
    assert run("sign", project / "dist/people", "--key", key).exit_code == 0


def test_a_bundle_with_a_changed_report_is_refused_as_ever(project):
    path = project / "dist/people/report.json"
    path.write_text(path.read_text().replace('"PASS"', '"FAIL"', 1))
    with pytest.raises(BundleError, match="was modified"):
        load(project / "dist/people")
    assert "was modified" in done(project, "verify", code=2).stderr


def test_its_record_is_judged_again_by_the_policy_of_today(project):
    (project / "people.csv").unlink()
    arguments = ("verify", "--from-record", project / "record.npz", "--json")
    report = json.loads(done(project, *arguments, code=3).stdout)
    assert {gate for gate, outcome in outcomes(report).items() if outcome != "PASS"} == {"latency_p90"}
    report = json.loads(done(project, *arguments, "--set", "policy.max_latency_p90_ms=null").stdout)
    assert (report["schema"], report["outcome"]) == ("edgefair.report/2", "PASS")


def test_its_ledger_goes_on_counting(project):
    before = (project / "edgefair.ledger.jsonl").read_text()
    report = json.loads(done(project, "verify", "--json", "--no-latency", code=3).stdout)
    assert report["ledger"] == {"verdicts": 4, "models": 1, "tries": 1, "chance": 0.05}
    assert (project / "edgefair.ledger.jsonl").read_text().startswith(before)


def test_its_run_is_exported(project, quiet_device):
    out = project / "again"
    done(project, "export", "--int8", "--run", "plain", "-o", out)
    assert open_bundle(out).manifest.settings["run"] == "plain"
    assert load(out).report["outcome"] == "PASS"


def test_a_search_that_logged_names_goes_on_with_ids(project, quiet_device):
    def gates():
        done(project, "export", "--int8", "--run", "plain", "-o", project / "again")
        (trial,) = open_bundle(project / "again").manifest.settings["repair"]["trials"]
        return trial["gates"]["local"]

    found = gates()
    assert {*found} == {*NAMES, "accuracy_difference"} - LATER
    (log,) = (project / "runs/repair").glob("*/trials.jsonl")
    for gate, name in NAMES.items():
        log.write_text(log.read_text().replace(f'"{gate}":', f'"{name}":'))
    before = log.read_text()
    assert gates() == found
    assert log.read_text() == before, "a trial that the log holds is not judged again"


def test_what_was_not_measured_is_found_by_the_name_that_it_had():
    target = REPORT["targets"][0]
    counts, evidence = (
        GroupCounts.from_json(target["counts"]),
        target["evidence"] | {"not_measured": {"latency p90": "?"}},
    )
    assert Evidence.from_json(counts, evidence).not_measured == (("latency_p90", "?"),)
    assert Evidence.from_json(counts, evidence).to_json() == evidence


@pytest.mark.parametrize(
    ("name", "found"), [("record.npz", "edgefair.record/3"), ("runs/plain/run.json", "edgefair.run/1")]
)
def test_an_older_record_or_run_is_refused_with_what_to_do(project, name, found):
    path = project / name
    if path.suffix == ".npz":
        np.savez(path, **{**np.load(path), "schema": np.array(found)})
        said = done(project, "verify", "--from-record", path, code=2).stderr
    else:
        path.write_text(path.read_text().replace('"edgefair.run/2"', f'"{found}"'))
        said = done(project, "export", "--int8", "--run", "plain", code=2).stderr
    assert found in said
    assert "to fix: " in said


def test_an_older_manifest_is_refused_with_what_to_do(project):
    path = project / "dist/people/manifest.json"
    path.write_text(path.read_text().replace("edgefair.bundle/1", "edgefair.bundle/0"))
    said = done(project, "verify", code=2).stderr
    assert "edgefair.bundle/0" in said
    assert "to fix: " in said
    with pytest.raises(BundleError, match=r"edgefair\.bundle/0, not .*: export the model again"):
        load(project / "dist/people")


def test_a_key_of_the_config_that_no_version_knows_is_refused_with_the_nearest(project):
    edit(project, policy__max_eo_gapp=0.1)
    said = done(project, "verify", code=2).stderr
    assert "max_eo_gapp" in said
    assert "max_eo_gap" in said
