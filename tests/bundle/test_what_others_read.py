"""What tools of others read of a signed bundle: OpenSSF Model Signing's, and whoever knows in-toto."""

import base64
import json
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from model_signing import verifying

from edgefair.bundle.as_test_result import as_test_result
from edgefair.bundle.attestation import open_release
from edgefair.bundle.manifest import open_bundle
from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.errors import ModelError, UsageError
from edgefair.probe.bundles.attestation import signed_statement
from edgefair.probe.bundles.demands import Demands
from edgefair.probe.bundles.runtime import BundleError, load
from tests.bundle.small_bundle import RAW, private_key, public_pem, write_bundle, write_key

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"


@pytest.fixture(scope="module")
def p256():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def bundle(tmp_path, p256, monkeypatch):
    monkeypatch.delenv("EDGEFAIR_SIGNING_PASSPHRASE", raising=False)
    (tmp_path / "p256.pub").write_bytes(public_pem(p256))
    bundle = write_bundle(tmp_path / "people")
    sign_bundle(bundle, load_signing_key(write_key(tmp_path / "p256.key", p256)))
    return bundle


def verified(bundle, public_key):
    """By the library of OpenSSF Model Signing."""
    verifying.Config().use_elliptic_key_verifier(public_key=public_key).verify(bundle, bundle / "model.sig")


def test_openssfs_own_library_accepts_what_a_p256_key_signed(bundle, tmp_path):
    verified(bundle, tmp_path / "p256.pub")


@pytest.mark.parametrize(
    "damage",
    [
        lambda bundle: (bundle / "model.onnx").write_bytes(b"x"),
        lambda bundle: (bundle / "spec.json").unlink(),
        lambda bundle: (bundle / "more.bin").write_bytes(b"x"),
    ],
    ids=["changed", "missing", "added"],
)
def test_openssfs_own_library_refuses_other_files(bundle, tmp_path, damage):
    damage(bundle)
    with pytest.raises(ValueError, match="Signature mismatch"):
        verified(bundle, tmp_path / "p256.pub")


def test_openssfs_own_library_refuses_another_key(bundle, tmp_path):
    (tmp_path / "other.pub").write_bytes(public_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ValueError, match="Key mismatch"):
        verified(bundle, tmp_path / "other.pub")


def test_devices_and_inspect_take_p256_signatures_and_no_others_for_them(bundle, p256, tmp_path):
    assert load(bundle, public_pem(p256)).predict(RAW).decision == ["no", "yes"]
    assert open_release(bundle, tmp_path / "p256.pub", Demands()).manifest.outcome == "PASS"
    for other in (ec.generate_private_key(ec.SECP256R1()), private_key()):
        with pytest.raises(BundleError, match="is by this public key"):
            load(bundle, public_pem(other))


def test_a_key_that_openssf_does_not_know_leaves_no_older_signature_behind(bundle, tmp_path):
    sign_bundle(bundle, load_signing_key(write_key(tmp_path / "edgefair.key")))
    assert not (bundle / "model.sig").exists()
    open_bundle(bundle)


def test_the_test_result_is_one_by_in_totos_own_types(bundle, p256):
    content = (bundle / "test-result.dsse.json").read_bytes()
    said = signed_statement(content, public_pem(p256), TEST_RESULT, named="test result")
    statement = json_format.ParseDict(said, statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    predicate = json_format.ParseDict(said["predicate"], test_result_pb2.TestResult())
    assert predicate.result == "PASSED"
    assert list(predicate.passed_tests) == [
        "device 0/eo_gap",
        "device 0/decisions_vary",
        "device 0/balanced_accuracy_floor",
    ]
    assert not predicate.failed_tests
    assert {item.name for item in predicate.configuration} == {"policy", "audit rows", "data section"}
    names = {item["name"] for item in said["subject"]}
    assert names == {"manifest.json", "model.onnx", "reference/model.onnx", "report.json", "spec.json"}


def test_what_blocks_has_failed_and_what_is_let_through_is_a_warning(bundle):
    report = json.loads((bundle / "report.json").read_text())
    report["outcome"] = report["targets"][0]["verdict"]["gates"][0]["outcome"] = "INCONCLUSIVE"
    for code, result, tests in ((0, "WARNED", "warnedTests"), (3, "FAILED", "failedTests")):
        predicate = as_test_result({**report, "exit_code": code}, [])["predicate"]
        assert predicate["result"] == result
        assert predicate[tests] == ["device 0/eo_gap"]


def test_a_damaged_test_result_changes_nothing_for_a_device(bundle, p256):
    (bundle / "test-result.dsse.json").write_text("{}")
    (bundle / "model.sig").write_text("{}")
    load(bundle, public_pem(p256))


def test_other_curves_are_refused_by_name(bundle, tmp_path):
    with pytest.raises(UsageError, match="secp521r1"):
        load_signing_key(write_key(tmp_path / "p521.key", ec.generate_private_key(ec.SECP521R1())))
    with pytest.raises(BundleError, match="ed25519 or P-256"):
        load(bundle, public_pem(ec.generate_private_key(ec.SECP384R1())))


def test_another_predicate_is_no_attestation_although_it_is_signed(bundle, p256, tmp_path):
    shutil.copy(bundle / "test-result.dsse.json", bundle / "attestation.dsse.json")
    payload = json.loads(base64.b64decode(json.loads((bundle / "attestation.dsse.json").read_text())["payload"]))
    assert payload["predicateType"] == TEST_RESULT
    with pytest.raises(ModelError, match="its predicateType is"):
        open_release(bundle, tmp_path / "p256.pub", Demands())
