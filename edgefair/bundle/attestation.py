"""The in-toto statement about a bundle: which files, and which verdict in short."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from edgefair.bundle.manifest import MODEL, REPORT, Bundle, open_bundle
from edgefair.bundle.redecision import check_decision
from edgefair.errors import ModelError, UsageError
from edgefair.files import sha256_file, sha256_json
from edgefair.probe.attestation import (
    MANIFEST,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    AttestationError,
    PublicKey,
    PublicKeyError,
    attested,
)


def statement(bundle: Bundle) -> dict[str, Any]:
    """What a signature says of a bundle, as JSON.

    The subjects are all its files, manifest.json among them. The predicate `urn:edgefair:verdict:v1` holds the
    `outcome`, the digests of the `policy` and the `report`, the `data` section that chose the rows with its digest, the
    `audit` rows with how many each group has, the `targets` on which it was judged with the class of each device (equal
    classes make equal decisions), and the version of `edgefair` that judged.

    Raises:
        ModelError: the bundle's verdict is that of another file, not one that ships, or not the one that its own
            evidence and policy give.
        PolicyError: a waiver that it rests on has run out.
    """
    from edgefair.probe.runtime import BundleError, check_verdict

    manifest = bundle.manifest
    try:
        report = json.loads((bundle.path / REPORT).read_bytes())
        check_verdict(report, manifest.outcome, manifest.files[MODEL].sha256)
        check_decision(report, today=datetime.datetime.now(datetime.UTC).date())
        predicate = {
            "outcome": manifest.outcome,
            "policy": {"digest": {"sha256": sha256_json(report["policy"])}},
            "report": {"name": REPORT, "digest": {"sha256": manifest.files[REPORT].sha256}},
            "data": {"section": report["data"]["section"], "digest": {"sha256": report["data"]["sha256"]}},
            "audit": {**report["audit"], "groups": _groups(report["targets"][0])},
            "targets": [_target(item) for item in report["targets"]],
            "edgefair": manifest.made_with["edgefair"],
        }
    except BundleError as error:
        raise ModelError(f"bundle '{bundle.path}' cannot be signed: {error}", fix="export it again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"'{REPORT}' in bundle '{bundle.path}' is no report: {error!r}") from error
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(_subjects(bundle).items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }


def open_signed(path: Path, public_key: PublicKey) -> Bundle:
    """Read a bundle that the owner of a key signed: first the signature, then every file.

    Raises:
        UsageError: a public key that cannot be read, or is no ed25519 key.
        ModelError: no signature by that key over exactly these files, or a bundle that `open_bundle` refuses.
    """
    try:
        signed = attested(path, public_key)
        bundle = open_bundle(path)
        signed.check((path / MANIFEST).read_bytes(), _digests(bundle), bundle.manifest.outcome)
    except PublicKeyError as error:
        raise UsageError(str(error), expected="the public ed25519 key in PEM") from error
    except AttestationError as error:
        raise ModelError(
            str(error),
            expected="a bundle that was signed with the private key of this public key",
            fix="copy the bundle again, or sign it with `edgefair sign`",
        ) from error
    return bundle


def _subjects(bundle: Bundle) -> dict[str, str]:
    return {**_digests(bundle), MANIFEST: sha256_file(bundle.path / MANIFEST)}


def _digests(bundle: Bundle) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in bundle.manifest.files.items()}


def _groups(target: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Attribute -> group -> its audit rows."""
    attributes = target["verdict"]["attributes"]
    return {item["attribute"]: {group["group"]: group["rows"] for group in item["groups"]} for item in attributes}


def _target(target: dict[str, Any]) -> dict[str, Any]:
    from edgefair.probe.runtime import device_class

    machine, saturates, runs_on = device_class(target["device"])
    return {
        "name": target["target"],
        "deviceClass": {"machine": machine, "saturatesInt8": saturates, "runsOn": runs_on},
    }
