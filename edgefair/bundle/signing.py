"""Sign a bundle: statements about it in DSSE envelopes, with a key in a PEM file.

What edgefair itself checks is the attestation. Beside it lie, for tools of others, the verdict as an in-toto test
result, and with a P-256 key the files as OpenSSF Model Signing has them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefair.bundle.as_test_result import as_test_result
from edgefair.bundle.attestation import statement
from edgefair.bundle.manifest import REPORT, open_bundle
from edgefair.bundle.model_signing import model_statement, sigstore_bundle
from edgefair.errors import UsageError
from edgefair.files import write_atomic
from edgefair.probe.bundles.attestation import ATTESTATION, MODEL_SIGNATURE, PAYLOAD_TYPE, TEST_RESULT
from edgefair.probe.files import read_json
from edgefair.probe.regular import read_regular
from edgefair.probe.system.files import others_mode

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

PASSPHRASE = "EDGEFAIR_SIGNING_PASSPHRASE"  # noqa: S105
ECDSA = "ecdsa"
MAX_KEY_BYTES = 1 << 16
GENERATE = "openssl genpkey -algorithm ed25519 -out edgefair.key"


def load_signing_key(path: Path) -> CryptoSigner:
    """The signer of a private key; the passphrase of an encrypted one comes from `EDGEFAIR_SIGNING_PASSPHRASE`.

    Raises:
        UsageError: the file cannot be read, or everyone can read it; not a private ed25519 or P-256 key in PEM; a
            passphrase that is missing, wrong, or for a key that has none.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    content = _private(path)
    passphrase = os.environ.get(PASSPHRASE)
    try:
        key: Any = load_pem_private_key(content, os.fsencode(passphrase) if passphrase else None)
    except TypeError as error:
        raise _encryption(path, given=bool(passphrase)) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        if b"ENCRYPTED" in content:
            raise UsageError(f"the passphrase in {PASSPHRASE} does not decrypt the key '{path}'") from error
        kind = "a public key" if b"PUBLIC KEY" in content else "not a private key in PEM"
        raise UsageError(f"'{path}' is {kind}", expected="a private ed25519 or P-256 key", fix=GENERATE) from error
    on_p256 = isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)
    if not on_p256 and not isinstance(key, Ed25519PrivateKey):
        curve = f" on {key.curve.name}" if isinstance(key, EllipticCurvePrivateKey) else ""
        raise UsageError(
            f"the key '{path}' is an {type(key).__name__}{curve}", expected="an ed25519 or P-256 key", fix=GENERATE
        )
    return CryptoSigner(key)


def key_id(public_key: Path) -> str:
    """The id of a public key in PEM that signatures were checked with, as `edgefair sign` tells it."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    key: Any = load_pem_public_key(read_regular(public_key, most=MAX_KEY_BYTES))
    return str(SSlibKey.from_crypto(key).keyid)


def sign_bundle(path: Path, signer: CryptoSigner, *, counter: int | None = None) -> None:
    """Check a bundle and write what is signed of it, instead of what was before; of each file a kill leaves the old one
    or the new.

    Args:
        counter: number of the release, where the bundle was exported without one.

    Raises:
        UsageError: the bundle was exported with another counter.
        ModelError: a bundle that `open_bundle` refuses, or whose verdict is another file's or not one that ships.
        OSError: the bundle cannot be written; it is as it was.
    """
    bundle = open_bundle(path)
    attestation = statement(bundle, counter)
    report = read_json((path / REPORT).read_bytes())
    _write(path / ATTESTATION, envelope_of(attestation, signer))
    _write(path / TEST_RESULT, envelope_of(as_test_result(report, attestation["subject"]), signer))
    if signer.public_key.keytype == ECDSA:
        signed = envelope_of(model_statement(path.resolve().name, attestation["subject"]), signer)
        _write(path / MODEL_SIGNATURE, sigstore_bundle(signed, signer))
    else:
        (path / MODEL_SIGNATURE).unlink(missing_ok=True)


def envelope_of(said: dict[str, Any], signer: CryptoSigner) -> dict[str, Any]:
    """A statement in a signed DSSE envelope, as JSON."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(json.dumps(said, separators=(",", ":")).encode(), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    found: dict[str, Any] = envelope.to_dict()
    return found


def _write(path: Path, said: dict[str, Any]) -> None:
    write_atomic(path, json.dumps(said, indent=1).encode())


def _private(path: Path) -> bytes:
    """The content of a file that not everyone may read."""
    try:
        content = read_regular(path, most=MAX_KEY_BYTES)
        mode = others_mode(path)
    except OSError as error:
        raise UsageError(f"the signing key '{path}' cannot be read: {error.strerror}", fix=GENERATE) from error
    if mode is not None and b"PRIVATE KEY" in content:
        raise UsageError(
            f"the signing key '{path}' is readable by other users of this machine (mode {mode:04o})",
            expected="a file that only its owner can read",
            fix=f"chmod 600 {path}; if others may have read it, make a new key",
        )
    return content


def _encryption(path: Path, *, given: bool) -> UsageError:
    if given:
        return UsageError(f"{PASSPHRASE} is set and the key '{path}' is not encrypted", fix=f"unset {PASSPHRASE}")
    return UsageError(f"the key '{path}' is encrypted", fix=f"set its passphrase in the environment as {PASSPHRASE}")
