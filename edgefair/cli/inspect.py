"""`edgefair inspect`."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("inspect")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    default=None,
    help="Demand a signature over exactly these files by the owner of this ed25519 key (PEM).",
)
def command(bundle: Path, public_key: Path | None) -> None:
    """Check a bundle's digests, and its signature, and print its manifest as JSON.

    \b
    Examples:
      edgefair inspect dist/people
      edgefair inspect dist/people --public-key edgefair.pub
    """
    from edgefair.bundle.attestation import open_signed
    from edgefair.bundle.manifest import open_bundle

    found = open_bundle(bundle) if public_key is None else open_signed(bundle, public_key)
    sys.stdout.write(found.manifest.to_json() + "\n")
