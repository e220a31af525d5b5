"""The in-toto statement about a bundle: which files, and which verdict in short."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgefair.bundle.manifest import REPORT, Bundle, Manifest, open_bundle
from edgefair.bundle.redecision import check_decision
from edgefair.errors import ModelError, UsageError
from edgefair.files import sha256_file
from edgefair.probe.bundles.attestation import (
    MANIFEST,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    AttestationError,
    PublicKey,
    PublicKeyError,
    attested,
)
from edgefair.probe.bundles.consistency import ContradictionError, check_report, policy_digest
from edgefair.probe.bundles.demands import DemandError, Demands, Release
from edgefair.probe.bundles.settings import Session, device_class
from edgefair.probe.files import read_json


def statement(bundle: Bundle, counter: int | None = None) -> dict[str, Any]:
    """What a signature says of a bundle, as JSON.

    The subjects are all its files, manifest.json among them. The predicate `urn:edgefair:verdict:v1` holds the
    `outcome`, the `project`, when it was `created`, the `counter` of the release if it has one, the digests of the
    `policy` and the `report`, the `data` section that chose the rows with its digest, the `audit` rows with how many
    each group has, of sealed rows the `seal` (which verdict on them it was, at which level, and the account's line),
    the `targets` on which it was judged with the class of each device (equal classes make equal decisions) and, of a
    pool, how many rows each device decided, and the version of `edgefair` that judged.

    Args:
        counter: number of the release, where the manifest has none.

    Raises:
        UsageError: another counter than the manifest's.
        ModelError: the bundle's verdict is that of another file, contradicts itself, is not one that ships, or not the
            one that its own evidence and policy give.
        PolicyError: a waiver that it rests on has run out.
    """
    manifest = bundle.manifest
    if None not in {counter, manifest.counter} and counter != manifest.counter:
        raise UsageError(
            f"bundle '{bundle.path}' was exported as release {manifest.counter}, but --counter is {counter}",
            fix="omit --counter, or export it again",
        )
    number = manifest.counter if counter is None else counter
    model = manifest.files[manifest.model]
    try:
        report = read_json((bundle.path / REPORT).read_bytes())
        check_report(report, outcome=manifest.outcome, sha256=model.sha256, size=model.bytes)
        check_decision(report, today=datetime.datetime.now(datetime.UTC).date())
        _check_reference(report, manifest)
        predicate = {
            "outcome": manifest.outcome,
            "project": manifest.project,
            "created": manifest.created,
            **({} if number is None else {"counter": number}),
            "policy": {"digest": {"sha256": policy_digest(report["policy"])}},
            "report": {"name": REPORT, "digest": {"sha256": manifest.files[REPORT].sha256}},
            "data": {"section": report["data"]["section"], "digest": {"sha256": report["data"]["sha256"]}},
            "audit": {**report["audit"], "groups": _groups(report["targets"][0])},
            **({} if report.get("seal") is None else {"seal": report["seal"]}),
            "targets": [_target(item) for item in report["targets"]],
            "edgefair": manifest.made_with["edgefair"],
        }
    except ContradictionError as error:
        raise ModelError(f"bundle '{bundle.path}' cannot be signed: {error}", fix="export it again") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"'{REPORT}' in bundle '{bundle.path}' is not a report: {error!r}") from error
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(_subjects(bundle).items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }


def open_release(path: Path, public_key: PublicKey | None, demands: Demands) -> Bundle:
    """Read a bundle that is a certain release; with a public key first the signature, then every file.

    Raises:
        UsageError: a public key that cannot be read, or is of another kind than bundles are signed with.
        ModelError: no signature by that key over exactly these files, another release than was demanded, or a bundle
            that `open_bundle` refuses.
    """
    try:
        signed = None if public_key is None else attested(path, public_key)
        bundle = open_bundle(path)
        if signed is not None:
            signed.check((path / MANIFEST).read_bytes(), _digests(bundle), bundle.manifest.outcome)
        demands.check(_release(bundle) if signed is None else signed.release)
    except PublicKeyError as error:
        raise UsageError(str(error), expected="the public key in PEM, ed25519 or P-256") from error
    except AttestationError as error:
        raise ModelError(
            str(error),
            expected="a bundle that was signed with the private key of this public key",
            fix="copy the bundle again, or sign it with `edgefair sign`",
        ) from error
    except DemandError as error:
        raise ModelError(f"bundle '{path}' does not meet the requirements: {error}") from error
    return replace(bundle, signed=signed)


def _check_reference(report: dict[str, Any], manifest: Manifest) -> None:
    """The model that the decisions were compared with is the one that the bundle brings along."""
    said, entry = report["reference"], manifest.files.get(manifest.reference)
    if said is not None and entry is not None and said["sha256"] != entry.sha256:
        raise ContradictionError(f"its verdict compares with a model other than '{manifest.reference}'")


def _release(bundle: Bundle) -> Release:
    """Which release a bundle says it is, signed or not."""
    manifest = bundle.manifest
    try:
        policy = policy_digest(read_json((bundle.path / REPORT).read_bytes())["policy"])
    except (ValueError, KeyError) as error:
        raise ModelError(f"'{REPORT}' in bundle '{bundle.path}' is not a report: {error!r}") from error
    return Release(manifest.project, policy, manifest.created, manifest.counter)


def _subjects(bundle: Bundle) -> dict[str, str]:
    return {**_digests(bundle), MANIFEST: sha256_file(bundle.path / MANIFEST)}


def _digests(bundle: Bundle) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in bundle.manifest.files.items()}


def _groups(target: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Attribute -> group -> its audit rows."""
    attributes = target["verdict"]["attributes"]
    return {item["attribute"]: {group["group"]: group["rows"] for group in item["groups"]} for item in attributes}


def _target(target: dict[str, Any]) -> dict[str, Any]:
    device = target["device"]
    own, session = device_class(device), Session.of(device)
    settings = {name: said.to_json() for name, said in own.provider_settings}
    pool = target["evidence"].get("pool", ())
    return {
        "name": target["target"],
        "deviceClass": {
            "machine": own.machine,
            "saturatesInt8": own.saturates_int8,
            "runsOn": device["runs_on"],
            "runtime": own.runtime,
            "providers": list(own.providers),
            "optimization": own.optimization,
            "config": dict(own.config),
            **({"providerSettings": settings} if settings else {}),
            **({} if own.batch is None else {"batch": own.batch}),
            **({"boundTo": dict(own.bound_to)} if own.bound_to else {}),
        },
        "threads": session.threads,
        **({"pool": [{"name": item["name"], "rows": item["rows"]} for item in pool]} if pool else {}),
    }
