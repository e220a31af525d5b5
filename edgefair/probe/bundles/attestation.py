"""Whose bundle it is: an in-toto statement about its files in a DSSE envelope, checked with an ed25519 public key.

DSSE 1.0.2: https://github.com/secure-systems-lab/dsse. Statement v1: https://github.com/in-toto/attestation.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Union

from edgefair.probe.bundles.demands import Release
from edgefair.probe.files import read_json
from edgefair.probe.regular import read_regular

ATTESTATION = "attestation.dsse.json"
MANIFEST = "manifest.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:edgefair:verdict:v1"
MOST_ATTESTATION, MOST_KEY = 16 << 20, 64 << 10
PEM = "-----BEGIN "
# The path of a PEM file, or its content.
PublicKey = Union[str, bytes, Path]


class AttestationError(Exception):
    """A bundle that is not shown to be what the owner of a key signed, and why."""


class PublicKeyError(AttestationError):
    """A public key with which nothing can be checked here, and why."""


@dataclass(frozen=True)
class Attested:
    """What a signature covers.

    files: path inside the bundle -> sha256. outcome: of the verdict. release: which one it is.
    """

    files: Dict[str, str]
    outcome: str
    release: Release

    def check(self, manifest: bytes, files: Mapping[str, str], outcome: str) -> None:
        """Refuse a bundle of other files, or another verdict, than was signed.

        manifest: content of its manifest.json. files, outcome: digests that the manifest lists, and what it says.

        Raises:
            AttestationError: a file more, less or other than was signed, or another outcome.
        """
        found = {**files, MANIFEST: hashlib.sha256(manifest).hexdigest()}
        for name in sorted(found.keys() | self.files.keys()):
            if found.get(name) != self.files.get(name):
                raise AttestationError(
                    f"'{name}' is not what was signed: its sha256 is {found.get(name, 'missing')}, and that of "
                    f"the signed one {self.files.get(name, 'missing')}"
                )
        if outcome != self.outcome:
            raise AttestationError(f"the signed verdict is {self.outcome}, and the manifest says {outcome}")


def pae(payload_type: str, payload: bytes) -> bytes:
    """What a DSSE signature is made of: "DSSEv1", and the two parts with their lengths in bytes before them."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def is_attestation(name: str) -> bool:
    """Whether a file of a bundle is its attestation, or the part of one that a killed signing left."""
    return name == ATTESTATION or name.startswith(f".{ATTESTATION}.")


def attested(folder: Path, public_key: PublicKey) -> Attested:
    """What the owner of a key signed about a bundle. One signature by that key is enough, whoever else signed.

    The ids of keys in the envelope are not looked at: they are not signed, and the specification calls them hints.

    Raises:
        PublicKeyError: no ed25519 public key in PEM, or the package cryptography is missing.
        AttestationError: no attestation, a damaged one, none of its signatures by this key, or a statement of another
            kind.
    """
    key = ed25519(public_key)
    try:
        envelope = read_json(read_regular(folder / ATTESTATION, most=MOST_ATTESTATION, follow=False))
        payload = _base64(envelope["payload"])
        payload_type = envelope["payloadType"]
        signed = pae(payload_type, payload)
        signatures = [_base64(item["sig"]) for item in envelope["signatures"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AttestationError(f"'{ATTESTATION}' of '{folder}' is damaged: {error!r}") from error
    except OSError as error:
        raise AttestationError(f"bundle '{folder}' is not signed: {ATTESTATION}: {error.strerror}") from error
    if not any(is_by(key, signature, signed) for signature in signatures):
        raise AttestationError(
            f"none of the {len(signatures)} signatures in '{ATTESTATION}' of '{folder}' is by this public key: "
            "another key signed it, or the statement was modified"
        )
    return _statement(folder, payload_type, payload)


def _statement(folder: Path, payload_type: str, payload: bytes) -> Attested:
    try:
        if payload_type != PAYLOAD_TYPE:
            raise ValueError(f"its payload is {payload_type}, not {PAYLOAD_TYPE}")
        statement = read_json(payload)
        for key, expected in (("_type", STATEMENT_TYPE), ("predicateType", PREDICATE_TYPE)):
            if statement[key] != expected:
                raise ValueError(f"its {key} is {statement[key]}, not {expected}")
        subjects = [(str(item["name"]), str(item["digest"]["sha256"])) for item in statement["subject"]]
        if len(dict(subjects)) != len(subjects):
            raise ValueError("it lists a file twice")
        predicate = statement["predicate"]
        release = Release.of(predicate, predicate["policy"]["digest"]["sha256"])
        return Attested(dict(subjects), str(predicate["outcome"]), release)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AttestationError(f"'{ATTESTATION}' of '{folder}' does not attest a verdict: {error}") from error


def _base64(text: str) -> bytes:
    """Both alphabets, as DSSE asks of whoever reads."""
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)


def is_by(key: Any, signature: bytes, signed: bytes) -> bool:
    """Whether a signature is that of a public key over these bytes."""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def ed25519(public_key: PublicKey) -> Any:
    """The ed25519 public key in a PEM file, or in its content.

    Raises:
        PublicKeyError: it is none, or the package cryptography is missing.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise PublicKeyError("checking a signature needs the package cryptography: pip install cryptography") from error
    content = _pem(public_key)
    if b"PRIVATE KEY" in content:
        raise PublicKeyError("the public key is a private key, which must not be on a device: openssl pkey -pubout")
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PublicKeyError("the public key is not in PEM: openssl pkey -in KEY.pem -pubout writes one") from error
    if not isinstance(key, Ed25519PublicKey):
        raise PublicKeyError(f"the public key is an {type(key).__name__}, and bundles are signed with ed25519")
    return key


def _pem(public_key: PublicKey) -> bytes:
    if isinstance(public_key, bytes):
        return public_key
    if isinstance(public_key, str) and PEM in public_key:
        return public_key.encode()
    try:
        return read_regular(public_key, most=MOST_KEY)
    except OSError as error:
        raise PublicKeyError(f"the public key '{public_key}' cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PublicKeyError(f"the public key '{str(public_key)[:100]}' cannot be read: {error}") from error
