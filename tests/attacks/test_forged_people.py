"""Verdicts on people of unequal numbers of rows, alone and joined with an audit, are shipped; forged ones are not."""

import json
import shutil

import numpy as np
import pytest

from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.errors import EdgefairError
from edgefair.probe.bundles.consistency import policy_digest
from edgefair.probe.bundles.runtime import BundleError, load
from tests.attacks.judged import CONFIG, linear, people, run, spec, write_project
from tests.bundle.small_bundle import private_key, public_pem, write_key, write_manifest

PEOPLE = CONFIG.replace("  id: id", "  id: id\n  subject: who").replace("[sex]", "[sex, age]")
GROUPS = "    sex: {groups: [f, m]}\n    age: {groups: [young, old]}\n    sex*age: {}\n"
PEOPLE = PEOPLE.replace("    sex: {groups: [f, m]}\n", GROUPS).replace("max_eo_gap: 0.1", "max_eo_gap: 0.15")
GATES = "  max_eo_increase: 0.1\n  max_excess_loss: 0.1\n  metrics: {accuracy_difference: 0.15}\n"
ERRORS = "  errors: {attributes: {sex: 0.01}, labels: 0.005}\n"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Bundles `people` and `joined`, by a policy of several gates and declared errors."""
    rng, rows = np.random.default_rng(7), people(9000)
    rows["who"] = np.array([f"p{who}" for who in (rng.random(9000) ** 1.7 * 5400).astype(int)])
    rows["age"] = np.array(["young", "old"])[rng.integers(0, 2, 9000)]
    folder = write_project(tmp_path_factory.mktemp("people"), PEOPLE + GATES + ERRORS, rows)
    model, audit = linear(folder / "fp32.onnx", said=spec()), folder / "fp32.json"
    done = run("verify", folder, model, "--uncompressed", "--no-latency", "--write-reference-audit", audit)
    assert done.exit_code == 0, done.output
    for name, more in (("people", ()), ("joined", ("--reference-audit", audit))):
        key = ("--sign", write_key(folder / "key.pem"))
        done = run("export", folder, model, "--int8", "--no-latency", "--output", folder / name, *key, *more)
        assert done.exit_code == 0, done.output
    return folder


def evidence(report):
    return report["targets"][0]["evidence"]


@pytest.mark.parametrize("name", ["people", "joined"])
def test_it_is_signed_and_loaded_and_judges_people(shipped, name):
    load(shipped / name, public_pem(private_key()))
    report = json.loads((shipped / name / "report.json").read_text())
    sizes = {attribute: item["subjects"] for attribute, item in evidence(report)["design"]["rates"].items()}
    assert list(sizes) == ["sex", "age", "sex*age"]
    assert np.sum(sizes["sex"]) < 0.9 * 2 * report["audit"]["rows"]


def by_rows(report):
    evidence(report)["design"] = None


def more_people(report):
    for item in evidence(report)["design"]["rates"].values():
        item["subjects"] = np.multiply(item["subjects"], 3).tolist()


def independent(report):
    for item in evidence(report)["design"]["rates"].values():
        item["share"] = np.ones_like(item["share"]).tolist()


def alike(report):
    for item in evidence(report)["design"]["rates"].values():
        item["rate"] = np.broadcast_to(np.mean(item["rate"], axis=0), np.shape(item["rate"])).tolist()


def no_errors(report):
    del report["policy"]["errors"]


def errors_denied(report):
    report["policy"]["errors"] = {"labels": None, "attributes": {}}
    verdict = report["targets"][0]["verdict"]
    verdict["policy_digest"] = policy_digest(report["policy"])
    verdict["assumptions"] = ["labels and attributes are taken as true: policy.errors declares no error rates"]


def more_audited(report):
    counts = evidence(report)["reference_audit"]["counts"]
    counts["table"] = np.multiply(counts["table"], 10).tolist()


def no_audit(report):
    del evidence(report)["reference_audit"]


def audit_of_rows(report):
    evidence(report)["reference_audit"]["design"] = None


# Forgery, bundle, and whether the device, which does not decide again, sees it too.
FORGED = [
    (by_rows, "people", True),
    (more_people, "people", False),
    (independent, "people", False),
    (alike, "people", True),
    (no_errors, "people", True),
    (errors_denied, "people", False),
    (by_rows, "joined", True),
    (more_audited, "joined", False),
    (no_audit, "joined", False),
    (audit_of_rows, "joined", True),
    (alike, "joined", False),
]


@pytest.mark.parametrize(("change", "name", "seen"), FORGED)
def test_a_forged_one_is_not_signed(shipped, tmp_path, change, name, seen):
    bundle = shutil.copytree(shipped / name, tmp_path / "bundle")
    report = json.loads((bundle / "report.json").read_text())
    change(report)
    (bundle / "report.json").write_text(json.dumps(report))
    write_manifest(bundle)
    with pytest.raises(EdgefairError):
        sign_bundle(bundle, load_signing_key(shipped / "key.pem"))
    if seen:
        with pytest.raises(BundleError):
            load(bundle)
