"""A small real bundle, as `edgefair export` lays it out, and keys to sign it with."""

import datetime
import json

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from edgefair.bundle.manifest import FileEntry, Manifest
from edgefair.data.config import DataConfig
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.files import sha256_file
from edgefair.measure.counts import GroupCounts
from edgefair.probe.bundles.attestation import is_signature
from edgefair.probe.device import fingerprint
from edgefair.report.results.verification import AuditRows, DataSection, Information, ModelFile, Report, TargetResult
from edgefair.targets import load_profile
from edgefair.targets.sections import ProviderSection
from tests.targets.onnx_models import SPEC, classifier

RAW = {"a": [1.0, -1.0], "b": [0.0, 0.0]}
POLICY = Policy(max_eo_gap=0.1, attributes={"sex": {"groups": ["F", "M"]}})
COUNTS = GroupCounts(
    ("sex",), (("F",), ("M",)), ("no", "yes"), np.array([[[900, 100], [100, 900]], [[910, 90], [95, 905]]])
)
DATA = DataConfig(source="people.csv", label="hired", positive="yes", sensitive=("sex",))
CREATED = "2026-11-01T12:00:00+00:00"


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


def judged(device=None, **settings):
    """The fingerprint of a device, this one if no other is named, that ran a model with the settings of a profile."""
    named = tuple(ProviderSection.model_validate(item) for item in settings.pop("providers", ("CPUExecutionProvider",)))
    profile = load_profile("local").model_copy(update={"providers": named, **settings})
    return {**(device or fingerprint()), **profile.facts}


def report_of(model, *, counts=COUNTS, policy=POLICY, devices=None):
    """The report of a model file whose decisions were counted on each of the devices."""
    return report_on(counts, policy, sha256=sha256_file(model), size=model.stat().st_size, devices=devices)


def report_on(counts, policy, *, sha256="0" * 64, size=1, devices=None):
    """The report of a file of that digest and size."""
    evidence = Evidence(counts, size_bytes=size)
    verdict = decide(evidence, policy, today=datetime.date.fromisoformat(CREATED[:10]))
    targets = [
        TargetResult(
            target=f"device {number}",
            device=device,
            budgets={},
            verdict=verdict,
            counts=counts.to_json(),
            evidence=evidence.to_json(),
            flips=(),
            information=Information({}, {}, "no scores"),
            latency=None,
            reference_latency=None,
            speed_up=None,
            timings_s={},
        )
        for number, device in enumerate(devices or [judged()])
    ]
    report = Report(
        command="export",
        version="0.2.0",
        created=CREATED,
        model=ModelFile("model.onnx", sha256, size),
        reference=None,
        audit=AuditRows("rows", counts.n, "0" * 64),
        data=DataSection(DATA.model_dump(mode="json"), {"audit": counts.n}),
        policy=policy.model_dump(mode="json"),
        targets=tuple(targets),
        disagreements=(),
        settings={},
        ledger=None,
        notes=(),
    )
    return report.to_json()


def write_manifest(folder, outcome="PASS", **release):
    """List every file that is there, as whoever tampers with a bundle would."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    kept = [path for path in paths if path.name != "manifest.json" and not is_signature(path.name)]
    files = {str(path.relative_to(folder)): FileEntry(sha256_file(path), path.stat().st_size) for path in kept}
    said = {"project": "people", "created": CREATED, **release}
    manifest = Manifest(files, outcome, ({"name": "local"},), {"edgefair": "0.2.0"}, {"seed": 0}, **said)
    (folder / "manifest.json").write_text(manifest.to_json())


def write_bundle(
    folder, *, weights=((1.0, -1.0), (0.5, -0.5)), reference=True, devices=None, counts=COUNTS, by=POLICY, **report
):
    """A bundle of `classifier`; what stands in `report` takes the place of what would be there."""
    folder.mkdir(exist_ok=True)
    classifier(folder / "model.onnx", weights=weights)
    if reference:
        (folder / "reference").mkdir(exist_ok=True)
        classifier(folder / "reference/model.onnx", weights=weights)
    (folder / "spec.json").write_text(SPEC.to_json())
    made = report_of(folder / "model.onnx", devices=devices, counts=counts, policy=by)
    (folder / "report.json").write_text(json.dumps({**made, **report}))
    write_manifest(folder)
    return folder
