"""A small real bundle, as `edgefair export` lays it out, and keys to sign it with."""

import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

sys.path.insert(0, str(Path(__file__).parent.parent / "targets"))
from onnx_models import classifier

from edgefair.bundle.manifest import FileEntry, Manifest
from edgefair.files import sha256_file
from edgefair.probe.device import fingerprint

RAW = {"a": [1.0, -1.0], "b": [0.0, 0.0]}
POLICY = {"max_eo_gap": 0.05, "alpha": 0.05}


def private_key(number=1):
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def private_pem(key, passphrase=None):
    lock = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write_key(path, key=None, *, passphrase=None, mode=0o600):
    path.write_bytes(private_pem(key or private_key(), passphrase))
    path.chmod(mode)
    return path


def write_manifest(folder, outcome="PASS"):
    """List every file that is there, as whoever tampers with a bundle would."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    kept = [path for path in paths if path.name not in {"manifest.json", "attestation.dsse.json"}]
    files = {str(path.relative_to(folder)): FileEntry(sha256_file(path), path.stat().st_size) for path in kept}
    manifest = Manifest(files, outcome, ({"name": "local"},), {"edgefair": "0.1.0"}, {"seed": 0})
    (folder / "manifest.json").write_text(manifest.to_json())


def write_bundle(folder, *, weights=((1.0, -1.0), (0.5, -0.5)), **report):
    folder.mkdir(exist_ok=True)
    (folder / "reference").mkdir(exist_ok=True)
    classifier(folder / "model.onnx", weights=weights)
    classifier(folder / "reference/model.onnx", weights=weights)
    content = {
        "outcome": "PASS",
        "exit_code": 0,
        "model": {"sha256": sha256_file(folder / "model.onnx")},
        "policy": POLICY,
        "targets": [{"target": "local", "device": fingerprint()}],
        **report,
    }
    (folder / "report.json").write_text(json.dumps(content))
    write_manifest(folder)
    return folder
