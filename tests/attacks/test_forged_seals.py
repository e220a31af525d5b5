"""A report that claims another place in the account than its limits were taken at is neither signed nor loaded."""

import json
import shutil
from pathlib import Path

import pytest

from edgefair.bundle.attestation import statement
from edgefair.bundle.manifest import open_bundle
from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.errors import ModelError
from edgefair.probe.bundles.consistency import policy_digest
from edgefair.probe.bundles.runtime import BundleError, load
from tests.attacks.sealed import export, verify, write_sealed
from tests.bundle.small_bundle import write_key, write_manifest


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Shipped by the third verdict on its rows; not to be written to."""
    project = write_sealed(tmp_path_factory.mktemp("sealed"))
    for _ in range(2):
        verify(project, "unfair.onnx")
    assert export(project).exit_code == 0
    return project / "dist/people"


@pytest.fixture
def bundle(shipped, tmp_path):
    """A copy, free to be forged."""
    return Path(shutil.copytree(shipped, tmp_path / "people"))


def forge(bundle, change):
    report = json.loads((bundle / "report.json").read_text())
    change(report)
    (bundle / "report.json").write_text(json.dumps(report))
    write_manifest(bundle)


def sign(bundle, folder):
    sign_bundle(bundle, load_signing_key(write_key(folder / "key.pem")))


def test_the_signature_says_which_verdict_it_was_and_where_it_was_entered(bundle, tmp_path):
    report = json.loads((bundle / "report.json").read_text())
    assert statement(open_bundle(bundle))["predicate"]["seal"] == report["seal"]
    assert report["seal"]["verdict"] == 3
    sign(bundle, tmp_path)
    load(bundle)


def first(report):
    """The level of a first verdict, with the limits of the third: wider ones, so only the level gives it away."""
    report["seal"].update(verdict=1, level=0.025)
    report["targets"][0]["verdict"]["alpha"] = 0.025


def unsealed(report):
    report["policy"]["audit"] = "open"
    report["targets"][0]["verdict"]["policy_digest"] = policy_digest(report["policy"])


def fresh(report):
    unsealed(report)
    report["seal"] = None
    report["targets"][0]["verdict"]["alpha"] = 0.05


ANYWHERE = [
    (lambda report: report["seal"].update(verdict=1), "the level of its seal is 0.0041.*, where 0.025 follows"),
    (lambda report: report["seal"].update(level=0.05), "the level of its seal is 0.05"),
    (lambda report: report["seal"].update(verdict=0), "its seal is verdict 0"),
    (lambda report: report["seal"].update(verdict=True), "its seal is verdict True"),
    (lambda report: report["seal"].update(head="somewhere"), "line 'somewhere'"),
    (lambda report: report.update(seal=None), "audit is sealed, and its seal is None"),
    (unsealed, "audit is open, and its seal is"),
]


@pytest.mark.parametrize(("change", "message"), ANYWHERE)
def test_a_seal_that_does_not_fit_is_refused_on_the_device_and_by_who_would_sign(bundle, tmp_path, change, message):
    forge(bundle, change)
    with pytest.raises(BundleError, match=message):
        load(bundle)
    with pytest.raises(ModelError, match=message):
        sign(bundle, tmp_path)


@pytest.mark.parametrize("change", [first, fresh])
def test_limits_of_another_level_are_found_by_deciding_again(bundle, tmp_path, change):
    forge(bundle, change)
    with pytest.raises(ModelError, match="contradicts itself: target 'local'"):
        sign(bundle, tmp_path)
