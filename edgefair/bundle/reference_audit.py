"""The audit of a reference as a file: `edgefair verify --write-reference-audit` makes it, exports are judged with it.

Readable JSON, whose `audit` has one digest (sorted keys, no spaces); signatures are ed25519 or P-256 over DSSE's
pre-authentication encoding of that spelling. Unsigned it protects from accidents, and from nobody who edits it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefair.decision.reference.audited import AUDIT_AGAIN, AuditedReference
from edgefair.errors import DataError, EdgefairError, UsageError
from edgefair.files import sha256_json, write_atomic
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Design
from edgefair.probe.bundles.attestation import PublicKeyError, pae, signature_check
from edgefair.probe.bundles.settings import described, device_class
from edgefair.probe.files import read_json
from edgefair.probe.regular import read_regular

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

REFERENCE_AUDIT_SCHEMA = "edgefair.reference-audit/1"
PAYLOAD_TYPE = "application/vnd.edgefair.reference-audit+json"
# Of a file: counts of some thousand groups on some devices.
MOST_BYTES = 64 << 20
# Keys of the config's `data:` that say who is in the population, and what label and groups mean.
POPULATION = ("label", "positive", "classes", "where", "merge", "thin", "subject")


@dataclass(frozen=True)
class AuditOnDevice:
    """What one device showed: its fingerprint, and the reference's decisions there."""

    target: str
    device: dict[str, Any]
    counts: GroupCounts
    design: Design | None


@dataclass(frozen=True)
class ReferenceAudit:
    """A model that was audited to be the reference of others.

    Attributes:
        model: path, sha256 and bytes of its file.
        rows: source, number and fingerprint of the audit rows.
        data: the config's `data:` section that chose them.
        groups: attribute of the policy -> its declared groups.
        subject_weights: what was counted, where rows belong to subjects.
        key: id of the key whose signature was checked; None where nobody asked.
    """

    created: str
    version: str
    model: dict[str, Any]
    rows: dict[str, Any]
    data: dict[str, Any]
    groups: dict[str, list[str]]
    subject_weights: str
    devices: tuple[AuditOnDevice, ...]
    key: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of what a signature covers."""
        return sha256_json(self.to_json())

    def on(self, device: Mapping[str, Any], target: str, attributes: Sequence[str]) -> AuditedReference:
        """What was audited on a device of the class of this one, which makes the same decisions.

        Args:
            attributes: those that are judged.

        Raises:
            DataError: on none.
        """
        wanted = device_class(device)
        for item in self.devices:
            if device_class(item.device) == wanted:
                counts = item.counts.by(*attributes)
                return AuditedReference(self.model["sha256"], self.digest, self.created, self.key, counts, item.design)
        raise DataError(
            f"target '{target}' is {_words(device)}, and the reference was not audited on such a device",
            expected=" or ".join(_words(item.device) for item in self.devices),
            fix="audit the reference on this target too: edgefair verify REFERENCE --uncompressed --target "
            f"{target} --write-reference-audit FILE",
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, without the key."""
        return {
            "created": self.created,
            "edgefair": self.version,
            "model": self.model,
            "rows": self.rows,
            "data": self.data,
            "policy": {"groups": self.groups, "subject_weights": self.subject_weights},
            "devices": [
                {
                    "target": item.target,
                    "device": item.device,
                    "counts": item.counts.to_json(),
                    "design": None if item.design is None else item.design.to_json(),
                }
                for item in self.devices
            ],
        }


def save_reference_audit(path: Path, audit: ReferenceAudit) -> None:
    """Write it, unsigned, whole or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    _write(path, audit.to_json(), [])


def sign_reference_audit(path: Path, signer: CryptoSigner) -> None:
    """Sign one, instead of any older signature; a kill leaves the old file or the new.

    Raises:
        DataError: not a reference audit, or a damaged one.
        UsageError: the file cannot be written.
    """
    audit = load_reference_audit(path).to_json()
    signature = signer.sign(pae(PAYLOAD_TYPE, _canonical(audit)))
    _write(path, audit, [{"keyid": signature.keyid, "sig": signature.signature}])


def load_reference_audit(path: Path, public_key: Path | None = None) -> ReferenceAudit:
    """Read one; with a public key only if its owner signed exactly this.

    Raises:
        DataError: it cannot be read, is none, was cut or edited, or is not signed by that key.
        UsageError: a public key that cannot be read, or is of another kind than bundles are signed with.
    """
    try:
        content = read_json(read_regular(path, most=MOST_BYTES))
        if content["schema"] != REFERENCE_AUDIT_SCHEMA:
            raise ValueError(f"its schema is '{content['schema']}', not '{REFERENCE_AUDIT_SCHEMA}'")
        said = content["audit"]
        if sha256_json(said) != content["sha256"]:
            raise ValueError(f"it was edited: its sha256 is {sha256_json(said)}, and it says {content['sha256']}")
        key = None if public_key is None else _signed_by(public_key, said, content["signatures"])
        found = _read(said, key)
    except OSError as error:
        raise DataError(f"the reference audit '{path}' cannot be read: {error.strerror}", fix=AUDIT_AGAIN) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, DataError) as error:
        why = error.found if isinstance(error, EdgefairError) else error
        raise DataError(
            f"'{path}' is not a reference audit that can be used: {' '.join(str(why).split())}",
            expected="a file that `edgefair verify --write-reference-audit` wrote",
            fix=AUDIT_AGAIN,
        ) from error
    return found


def _words(device: Mapping[str, Any]) -> str:
    """The class of a device as a person reads it."""
    own = device_class(device)
    config = "".join(f", {key}={value}" for key, value in own.config)
    versions = "".join(f", {key}={value}" for key, value in own.bound_to)
    return f"{described(device)} with {own.runtime} on {', '.join(own.providers)}, {own.optimization}{config}{versions}"


def _read(said: Mapping[str, Any], key: str | None) -> ReferenceAudit:
    """From the `audit` of a file.

    Raises:
        DataError, ValueError, KeyError, TypeError, AttributeError: no such object, or one whose parts do not agree.
    """
    devices = tuple(
        AuditOnDevice(
            target=str(item["target"]),
            device=dict(item["device"]),
            counts=GroupCounts.from_json(item["counts"]),
            design=None if item["design"] is None else Design.from_json(item["design"]),
        )
        for item in said["devices"]
    )
    groups = {str(name): [str(group) for group in listed] for name, listed in said["policy"]["groups"].items()}
    audit = ReferenceAudit(
        created=str(said["created"]),
        version=str(said["edgefair"]),
        model=dict(said["model"]),
        rows=dict(said["rows"]),
        data=dict(said["data"]),
        groups=groups,
        subject_weights=str(said["policy"]["subject_weights"]),
        devices=devices,
        key=key,
    )
    if not devices or not isinstance(audit.model["sha256"], str):
        raise ValueError("it holds no device or no model")
    for item in devices:
        device_class(item.device)
        if item.counts.n != audit.rows["rows"]:
            raise ValueError(f"its counts hold {item.counts.n:,} rows, and it says {audit.rows['rows']}")
        labels = len(item.counts.classes)
        for name, rates in {} if item.design is None else dict(item.design.rates).items():
            if rates.share.shape != (len(groups[name]), labels, labels):
                raise ValueError(f"its design of '{name}' is of other groups or classes")
    return audit


def _signed_by(public_key: Path, audit: Any, signatures: Sequence[Mapping[str, Any]]) -> str:
    """The id of the key, which the signature does not cover and which is only shown.

    Raises:
        DataError: no signature by that key.
        UsageError: the key cannot be read.
    """
    try:
        check = signature_check(public_key)
    except PublicKeyError as error:
        raise UsageError(str(error), expected="the public key in PEM, ed25519 or P-256") from error
    signed = pae(PAYLOAD_TYPE, _canonical(audit))
    for item in signatures:
        if check(bytes.fromhex(item["sig"]), signed):
            return str(item["keyid"])
    raise DataError(f"none of its {len(signatures)} signatures is by the key '{public_key}'")


def _canonical(audit: Any) -> bytes:
    return json.dumps(audit, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _write(path: Path, audit: dict[str, Any], signatures: list[dict[str, str]]) -> None:
    content = {"schema": REFERENCE_AUDIT_SCHEMA, "sha256": sha256_json(audit), "signatures": signatures, "audit": audit}
    try:
        write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode())
    except OSError as error:
        raise UsageError(f"the reference audit cannot be written to '{path}': {error.strerror}") from error
