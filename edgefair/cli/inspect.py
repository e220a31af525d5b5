"""`edgefair inspect`."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("inspect")
@click.argument("bundle", type=click.Path(path_type=Path))
def command(bundle: Path) -> None:
    """Check a bundle's digests and print its manifest as JSON."""
    from edgefair.bundle.manifest import open_bundle

    sys.stdout.write(open_bundle(bundle).manifest.to_json() + "\n")
