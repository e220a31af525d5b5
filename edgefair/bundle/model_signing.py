"""A bundle's files as OpenSSF Model Signing 1.0 has them, for whoever verifies models with its tools.

The format: a sigstore bundle 0.3 around a DSSE envelope around an in-toto statement that lists every file. Its
verifiers know elliptic keys, certificates and sigstore's identities; ed25519 is not among them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgefair.probe.bundles.attestation import SIGNATURES, STATEMENT_TYPE

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def model_statement(name: str, subjects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The statement about a folder of files, as JSON.

    Its one subject is the folder, whose digest is that of the files' digests in the order of their names.

    Args:
        name: of the folder.
        subjects: of the attestation: every file but the signatures, which sign themselves.
    """
    files = sorted((str(item["name"]), str(item["digest"]["sha256"])) for item in subjects)
    whole = hashlib.sha256(b"".join(bytes.fromhex(digest) for _, digest in files)).hexdigest()
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": whole}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": list(SIGNATURES),
            },
            "resources": [{"name": path, "algorithm": "sha256", "digest": digest} for path, digest in files],
        },
    }


def sigstore_bundle(envelope: dict[str, Any], signer: CryptoSigner) -> dict[str, Any]:
    """A signed envelope as sigstore's tools pass it on, as JSON; the hint is the sha256 of the public key in PEM."""
    key = str(signer.public_key.keyval["public"]).strip() + "\n"
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {
            "publicKey": {"hint": hashlib.sha256(key.encode()).hexdigest()},
            "tlogEntries": [],
        },
        "dsseEnvelope": envelope,
    }
