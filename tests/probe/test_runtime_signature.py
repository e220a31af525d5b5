"""With a public key a device loads only what the owner of the key signed, whoever wrote the manifest since."""

import base64
import json
import shutil
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.probe.bundles.attestation import PAYLOAD_TYPE, pae
from edgefair.probe.bundles.runtime import BundleError, load
from edgefair.resources import shipped_path
from edgefair.targets.transports.zipapp import build_runtime
from tests.bundle.small_bundle import RAW, private_key, private_pem, public_pem, write_bundle, write_key, write_manifest

PUBLIC = public_pem(private_key())
ATTESTATION = "attestation.dsse.json"
RELEASE = {"project": "people", "created": "2026-11-01", "policy": {"digest": {"sha256": "0" * 64}}}


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEFAIR_SIGNING_PASSPHRASE", raising=False)
    bundle = write_bundle(tmp_path / "bundle")
    sign_bundle(bundle, load_signing_key(write_key(tmp_path / "edgefair.key")))
    return bundle


def refused(bundle, message, key=PUBLIC):
    with pytest.raises(BundleError, match=message):
        load(bundle, public_key=key)


def read(bundle):
    return json.loads((bundle / ATTESTATION).read_text())


def write(bundle, envelope):
    (bundle / ATTESTATION).write_text(json.dumps(envelope))


def signed(statement, *keys, payload_type=PAYLOAD_TYPE):
    """An envelope around any statement, made without the code that signs bundles."""
    payload = statement if isinstance(statement, bytes) else json.dumps(statement).encode()
    signatures = [{"sig": base64.b64encode(key.sign(pae(payload_type, payload))).decode()} for key in keys]
    return {"payloadType": payload_type, "payload": base64.b64encode(payload).decode(), "signatures": signatures}


def statement_of(bundle, **changes):
    return {**json.loads(base64.b64decode(read(bundle)["payload"])), **changes}


def test_a_signed_bundle_is_loaded_with_the_key_in_any_form_and_without_it(bundle, tmp_path):
    (tmp_path / "edgefair.pub").write_bytes(PUBLIC)
    for key in (tmp_path / "edgefair.pub", str(tmp_path / "edgefair.pub"), PUBLIC, PUBLIC.decode(), None):
        assert load(bundle, key).predict(RAW).decision == ["no", "yes"]
    shutil.rmtree(bundle / "reference")
    load(bundle, PUBLIC)


def test_a_bundle_that_is_not_signed_needs_no_key_and_is_refused_with_one(bundle):
    (bundle / ATTESTATION).unlink()
    load(bundle)
    refused(bundle, "is not signed")


def test_whoever_changes_a_file_and_the_manifest_with_it_is_found_out_by_the_signature_alone(bundle):
    write_bundle(bundle, weights=((-1.0, 1.0), (-0.5, 0.5)))
    assert load(bundle).predict(RAW).decision == ["yes", "no"]
    refused(bundle, "is not what was signed")


def test_a_manifest_that_says_the_same_in_other_bytes_was_not_signed(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    load(bundle)
    refused(bundle, r"'manifest\.json' is not what was signed")


def test_files_that_were_added_or_left_out_are_refused(bundle):
    (bundle / "extra.so").write_bytes(b"x")
    load(bundle)
    refused(bundle, r"holds 'extra\.so', which was not signed")
    write_manifest(bundle)
    refused(bundle, r"'extra\.so' is not what was signed: .* and that of the signed one missing")
    (bundle / "extra.so").unlink()
    shutil.rmtree(bundle / "reference")
    write_manifest(bundle)
    refused(bundle, r"'manifest\.json' is not what was signed")


def test_the_signature_does_not_replace_the_digests(bundle):
    (bundle / "model.onnx").write_bytes(b"x")
    refused(bundle, r"'model\.onnx' was modified")


def test_the_attestation_of_another_bundle_is_refused(bundle, tmp_path):
    other = write_bundle(tmp_path / "other", weights=((2.0, -1.0), (0.5, -0.5)))
    sign_bundle(other, load_signing_key(tmp_path / "edgefair.key"))
    load(other, PUBLIC)
    shutil.copy(other / ATTESTATION, bundle / ATTESTATION)
    refused(bundle, "is not what was signed")


def test_another_key_does_not_open_the_bundle(bundle):
    refused(bundle, "none of the 1 signatures .* is by this public key", public_pem(private_key(2)))


def test_a_statement_that_was_changed_under_its_signature_is_refused(bundle):
    envelope = read(bundle)
    payload = base64.b64decode(envelope["payload"]).replace(b'"PASS"', b'"FINE"')
    write(bundle, {**envelope, "payload": base64.b64encode(payload).decode()})
    refused(bundle, "is by this public key")
    write(bundle, {**envelope, "payloadType": "text/plain"})
    refused(bundle, "is by this public key")


def test_one_signature_by_the_key_is_enough_and_ids_of_keys_do_not_matter(bundle):
    statement = statement_of(bundle)
    write(bundle, signed(statement, private_key(2), private_key(1), private_key(3)))
    load(bundle, PUBLIC)
    refused(bundle, "none of the 3 signatures", public_pem(private_key(4)))
    envelope = signed(statement, private_key(1))
    envelope["signatures"].insert(0, {"keyid": "x", "sig": ""})
    envelope["signatures"][1]["keyid"] = "of another key"
    write(bundle, envelope)
    load(bundle, PUBLIC)
    write(bundle, {**envelope, "signatures": []})
    refused(bundle, "none of the 0 signatures")


def test_both_alphabets_of_base64_are_read(bundle):
    envelope = read(bundle)
    for name in ("+/", "-_"):
        sig = base64.b64encode(base64.b64decode(envelope["signatures"][0]["sig"]), name.encode()).decode()
        write(bundle, {**envelope, "signatures": [{"sig": sig}]})
        load(bundle, PUBLIC)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda _: "",
        lambda _: "[]",
        lambda _: "null",
        lambda _: "[" * 100_000,
        lambda _: "\0\x01garbage",
        lambda text: text.replace('"sig"', '"gis"'),
        lambda text: json.dumps({**json.loads(text), "signatures": "x"}),
        lambda text: json.dumps({**json.loads(text), "signatures": [{"sig": 1}]}),
        lambda text: json.dumps({**json.loads(text), "payload": "not base64!"}),
        lambda text: json.dumps({**json.loads(text), "payloadType": 7}),
    ],
)
def test_a_damaged_envelope_is_refused_as_such(bundle, damage):
    path = bundle / ATTESTATION
    path.write_text(damage(path.read_text()))
    refused(bundle, "is damaged")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predicateType": "https://slsa.dev/provenance/v1"}, "its predicateType is https://slsa.dev"),
        ({"_type": "https://in-toto.io/Statement/v0.1"}, "its _type is"),
        ({"subject": [{"name": "model.onnx"}]}, "does not attest a verdict"),
        ({"subject": None}, "does not attest a verdict"),
        ({"predicate": None}, "does not attest a verdict"),
        ({"subject": [{"name": "a", "digest": {"sha256": "0"}}, {"name": "a", "digest": {"sha256": "1"}}]}, "twice"),
        ({"predicate": {}}, "does not attest a verdict"),
        ({"subject": []}, "is not what was signed"),
        (
            {"predicate": {"outcome": "FAIL", **RELEASE}},
            "the signed verdict is FAIL, and the manifest says PASS",
        ),
        ({"predicate": {"outcome": "PASS", **RELEASE, "project": 7}}, "does not say its project"),
        ({"predicate": {"outcome": "PASS", **RELEASE, "created": "yesterday"}}, "not a date or moment"),
        ({"predicate": {"outcome": "PASS", **RELEASE, "counter": -1}}, "its counter is -1"),
    ],
)
def test_what_the_same_key_signed_for_another_purpose_is_no_verdict(bundle, changes, message):
    write(bundle, signed(statement_of(bundle, **changes), private_key()))
    refused(bundle, message)


def test_a_payload_of_another_type_is_no_statement(bundle):
    write(bundle, signed(statement_of(bundle), private_key(), payload_type="application/json"))
    refused(bundle, r"its payload is application/json")
    write(bundle, signed(b"not json", private_key()))
    refused(bundle, "does not attest a verdict")


def test_keys_that_cannot_check_a_signature_are_refused_by_name(bundle, tmp_path):
    refused(
        bundle, "RSAPublicKey, and bundles are signed with ed25519", public_pem(rsa.generate_private_key(65537, 2048))
    )
    refused(bundle, "bundles are signed with ed25519 or P-256", public_pem(ec.generate_private_key(ec.SECP384R1())))
    refused(bundle, "is a private key", private_pem(private_key()))
    refused(bundle, "is not in PEM", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    refused(bundle, "is not in PEM", b"")
    refused(bundle, r"absent\.pub' cannot be read", tmp_path / "absent.pub")


def test_the_signature_is_checked_before_everything_else(bundle):
    (bundle / "manifest.json").write_text("{}")
    refused(bundle, "is by this public key", public_pem(private_key(2)))
    refused(bundle, "is not a bundle")


def test_without_cryptography_the_device_says_what_to_install(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    refused(bundle, "pip install cryptography")
    load(bundle)


def test_the_example_serves_only_what_the_owner_of_its_key_signed(bundle, tmp_path):
    (tmp_path / "edgefair_runtime.zip").write_bytes(build_runtime())
    shutil.copy(shipped_path("deploy/device", "serve.py"), tmp_path)
    for number in (1, 2):
        (tmp_path / "key.pub").write_bytes(public_pem(private_key(number)))
        command = [sys.executable, "-I", tmp_path / "serve.py", bundle, "--port", "0"]
        with subprocess.Popen(
            [*command, "--public-key", tmp_path / "key.pub"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as served:
            try:
                line = served.stdout.readline()
                assert line.startswith("serving") == (number == 1)
                assert line or "is by this public key" in served.stderr.read()
            finally:
                served.kill()
