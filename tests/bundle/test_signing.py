"""Who can sign, what is signed, and that others who speak DSSE and in-toto read it."""

import base64
import json
import shutil

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from edgefair.bundle.attestation import open_release
from edgefair.bundle.manifest import open_bundle
from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.cli import main
from edgefair.errors import ModelError, UsageError
from edgefair.files import sha256_file, sha256_json
from edgefair.probe.bundles.attestation import attested, pae
from edgefair.probe.bundles.demands import Demands
from edgefair.probe.device import fingerprint, saturates_int8
from tests.bundle.small_bundle import CREATED, POLICY, private_key, public_pem, write_bundle, write_key, write_manifest

PUBLIC = public_pem(private_key())


def run(*arguments, **environment):
    return CliRunner().invoke(main, [str(item) for item in arguments], env=environment, catch_exceptions=False)


@pytest.fixture
def key(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEFAIR_SIGNING_PASSPHRASE", raising=False)
    return write_key(tmp_path / "edgefair.key")


@pytest.fixture
def bundle(tmp_path, key):
    bundle = write_bundle(tmp_path / "bundle")
    sign_bundle(bundle, load_signing_key(key))
    return bundle


def test_the_statement_names_every_file_with_its_digest_and_the_verdict_in_short(bundle):
    envelope = json.loads((bundle / "attestation.dsse.json").read_text())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert {item["name"]: item["digest"] for item in statement["subject"]} == {
        name: {"sha256": sha256_file(bundle / name)}
        for name in ("manifest.json", "model.onnx", "reference/model.onnx", "report.json", "spec.json")
    }
    device = fingerprint()
    assert statement["predicateType"] == "urn:edgefair:verdict:v1"
    data = json.loads((bundle / "report.json").read_text())["data"]
    assert statement["predicate"] == {
        "outcome": "PASS",
        "project": "people",
        "created": CREATED,
        "policy": {"digest": {"sha256": POLICY.digest}},
        "report": {"name": "report.json", "digest": {"sha256": sha256_file(bundle / "report.json")}},
        "data": {"section": data["section"], "digest": {"sha256": sha256_json(data["section"])}},
        "audit": {
            "source": "rows",
            "rows": 4000,
            "fingerprint": "0" * 64,
            "groups": {"sex": {"F": 2000, "M": 2000}},
        },
        "targets": [
            {
                "name": "device 0",
                "deviceClass": {
                    "machine": device["machine"],
                    "saturatesInt8": saturates_int8(device),
                    "runsOn": "CPUExecutionProvider",
                    "runtime": "onnxruntime",
                    "providers": ["CPUExecutionProvider"],
                    "optimization": "all",
                    "config": {},
                },
                "threads": 1,
            }
        ],
        "edgefair": "0.2.0",
    }


def test_the_manifest_does_not_list_the_attestation_and_a_signed_bundle_opens_as_before(bundle):
    assert "attestation.dsse.json" not in open_bundle(bundle).manifest.files
    (bundle / ".attestation.dsse.json.partial-k1ll3d").write_text("half")
    open_bundle(bundle)
    (bundle / "attestation.dsse.json.so").write_text("other")
    with pytest.raises(ModelError, match=r"holds 'attestation\.dsse\.json\.so'"):
        open_bundle(bundle)


def test_another_implementation_of_dsse_verifies_the_envelope_and_only_by_the_right_key(bundle):
    envelope = Envelope.from_dict(json.loads((bundle / "attestation.dsse.json").read_text()))
    right, wrong = (SSlibKey.from_crypto(private_key(number).public_key()) for number in (1, 2))
    assert envelope.verify([right], 1)
    with pytest.raises(VerificationError):
        envelope.verify([wrong], 1)
    assert envelope.pae() == pae(envelope.payload_type, envelope.payload)


def test_the_encoding_that_is_signed_is_that_of_the_specification():
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("é", "é".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xa9"


def test_signing_again_replaces_the_signature_and_leaves_nothing(bundle, tmp_path):
    first = (bundle / "attestation.dsse.json").read_bytes()
    (bundle / ".attestation.dsse.json.partial-k1ll3d").write_text("half")
    other = write_key(tmp_path / "other.key", private_key(2))
    assert run("sign", bundle, "--key", other).exit_code == 0
    assert (bundle / "attestation.dsse.json").read_bytes() != first
    assert not list(bundle.glob(".*"))
    open_release(bundle, public_pem(private_key(2)), Demands())
    with pytest.raises(ModelError, match="is by this public key"):
        open_release(bundle, PUBLIC, Demands())
    assert run("sign", bundle, EDGEFAIR_SIGNING_KEY=str(tmp_path / "edgefair.key")).exit_code == 0
    assert (bundle / "attestation.dsse.json").read_bytes() == first


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda bundle: (bundle / "model.onnx").write_bytes(b"x"), "'model.onnx' in bundle"),
        (lambda bundle: (bundle / "report.json").unlink(), "lacks 'report.json'"),
        (lambda bundle: (bundle / "manifest.json").write_text("{}"), "is not a bundle"),
        (lambda bundle: write_manifest(bundle, "FAIL"), "its manifest says FAIL"),
        (lambda bundle: write_bundle(bundle, outcome="FAIL", exit_code=1), "not a verdict that may ship"),
        (lambda bundle: write_bundle(bundle, exit_code=3), "not a verdict that may ship"),
        (lambda bundle: write_bundle(bundle, model={"sha256": "0" * 64}), "belongs to another model file"),
        (lambda bundle: write_bundle(bundle, policy=float("nan")), "is not a report"),
        (lambda bundle: write_bundle(bundle, targets=None), "it was not judged on any target"),
        (lambda bundle: write_bundle(bundle, targets=[{"target": "x"}]), "is not a report"),
    ],
)
def test_a_bundle_whose_digests_or_verdict_do_not_hold_is_not_signed(bundle, tmp_path, damage, message):
    before = (bundle / "attestation.dsse.json").read_bytes()
    damage(bundle)
    result = run("sign", bundle, "--key", tmp_path / "edgefair.key")
    assert result.exit_code == 2
    assert message in result.stderr
    assert (bundle / "attestation.dsse.json").read_bytes() == before


def test_inspect_demands_the_signature_of_the_key_that_it_is_given(bundle, tmp_path):
    (tmp_path / "edgefair.pub").write_bytes(PUBLIC)
    (tmp_path / "other.pub").write_bytes(public_pem(private_key(2)))
    assert json.loads(run("inspect", bundle, "--public-key", tmp_path / "edgefair.pub").stdout)["outcome"] == "PASS"
    for copy, damage, key, message in (
        ("wrong-key", lambda _: None, "other.pub", "is by this public key"),
        ("unsigned", lambda b: (b / "attestation.dsse.json").unlink(), "edgefair.pub", "is not signed"),
        ("file", lambda b: (b / "model.onnx").write_bytes(b"x"), "edgefair.pub", "'model.onnx' in bundle"),
        ("again", lambda b: write_bundle(b, weights=((1, 1), (1, 1))), "edgefair.pub", "is not what was signed"),
        ("no-key", lambda _: None, "absent.pub", "the public key in PEM, ed25519 or P-256"),
    ):
        damage(shutil.copytree(bundle, tmp_path / copy))
        result = run("inspect", tmp_path / copy, "--public-key", tmp_path / key)
        assert (result.exit_code, result.stdout) == (2, ""), copy
        assert message in result.stderr, copy


def test_a_bundle_that_was_copied_without_its_reference_keeps_its_signature(bundle):
    shutil.rmtree(bundle / "reference")
    assert open_release(bundle, PUBLIC, Demands()).reference is None


# Keys ---------------------------------------------------------------------------------------------------------------


def unusable(path, message):
    with pytest.raises(UsageError, match=message):
        load_signing_key(path)


def test_a_key_that_everyone_can_read_is_refused(key):
    for mode in (0o604, 0o644, 0o602):
        key.chmod(mode)
        unusable(key, "readable by other users")
    key.chmod(0o640)
    load_signing_key(key)


def test_keys_of_other_kinds_are_refused_by_name(tmp_path):
    unusable(write_key(tmp_path / "rsa", rsa.generate_private_key(65537, 2048)), "RSAPrivateKey")
    unusable(write_key(tmp_path / "ec", ec.generate_private_key(ec.SECP384R1())), "PrivateKey on secp384r1")
    public = private_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "pub").write_bytes(public)
    unusable(tmp_path / "pub", "is a public key")
    (tmp_path / "text").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (tmp_path / "text").chmod(0o600)
    unusable(tmp_path / "text", "not a private key in PEM")
    unusable(tmp_path / "absent", "cannot be read")
    unusable(tmp_path, "cannot be read")


def test_the_passphrase_comes_from_the_environment(tmp_path, monkeypatch):
    locked = write_key(tmp_path / "locked.key", passphrase="open sesame")
    monkeypatch.delenv("EDGEFAIR_SIGNING_PASSPHRASE", raising=False)
    unusable(locked, "is encrypted")
    monkeypatch.setenv("EDGEFAIR_SIGNING_PASSPHRASE", "closed")
    unusable(locked, "does not decrypt the key")
    monkeypatch.setenv("EDGEFAIR_SIGNING_PASSPHRASE", "open sesame")
    bundle = write_bundle(tmp_path / "bundle")
    sign_bundle(bundle, load_signing_key(locked))
    attested(bundle, PUBLIC)
    unusable(write_key(tmp_path / "plain.key"), "is not encrypted")
