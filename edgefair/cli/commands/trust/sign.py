"""`edgefair sign`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.options import counter_option
from edgefair.cli.say import say


@click.command("sign")
@click.argument("path", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path),
    envvar="EDGEFAIR_SIGNING_KEY",
    show_envvar=True,
    help="Private ed25519 or P-256 key (PEM). The passphrase of an encrypted one: EDGEFAIR_SIGNING_PASSPHRASE.",
)
@counter_option
def command(path: Path, key: Path, counter: int | None) -> None:
    """Sign a bundle whose files and verdict hold, or a reference audit; an older signature is replaced.

    Anyone with the public key can then verify that BUNDLE was released by you, file by file:
    `edgefair inspect --public-key`, and on the device `load(bundle, public_key=...)`. Beside the attestation it writes
    the verdict as an in-toto test result and, with a P-256 key, model.sig in the format of OpenSSF Model Signing.
    BUNDLE may be the file of `verify --write-reference-audit`, for --reference-audit-key.

    \b
    Examples:
      openssl genpkey -algorithm ed25519 -out edgefair.key
      openssl pkey -in edgefair.key -pubout -out edgefair.pub
      edgefair sign dist/people --key edgefair.key
      openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key
      edgefair sign dist/people --key edgefair.key --counter 7
      edgefair sign fp32.audit.json --key edgefair.key
      edgefair inspect dist/people --public-key edgefair.pub
    """
    from edgefair.bundle.reference_audit import sign_reference_audit
    from edgefair.bundle.signing import load_signing_key, sign_bundle

    signer = load_signing_key(key)
    if path.is_file():
        if counter is not None:
            raise click.UsageError("--counter numbers releases, and a reference audit is none: omit it")
        sign_reference_audit(path, signer)
    else:
        sign_bundle(path, signer, counter=counter)
    say(f"signed {path} (key {signer.public_key.keyid[:16]})")
