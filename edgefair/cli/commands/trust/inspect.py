"""`edgefair inspect`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefair.cli.say import say
from edgefair.report.escape import json_in_a_log

if TYPE_CHECKING:
    from edgefair.bundle.manifest import Bundle


@click.command("inspect")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    default=None,
    help="Require a signature over exactly these files by the owner of this public key (PEM).",
)
@click.option("--project", default=None, help="Require a release of this project.")
@click.option("--policy", default=None, metavar="SHA256", help="Require that this policy judged it.")
@click.option("--not-before", default=None, metavar="DATE", help="Require that it was not judged before (ISO 8601).")
@click.option(
    "--signed-policy",
    type=click.Path(path_type=Path),
    default=None,
    help="Require a verdict by the policy, and on the rows, of this file of `edgefair policy sign`, and a later one. "
    "Needs --public-key.",
)
@click.option("--counter", type=click.IntRange(min=0), default=None, help="Require this release or a later one.")
def command(
    bundle: Path,
    public_key: Path | None,
    project: str | None,
    policy: str | None,
    not_before: str | None,
    counter: int | None,
    signed_policy: Path | None,
) -> None:
    """Check a bundle's digests, its signature, and which release it is, and print its manifest as JSON.

    With --public-key only what was signed is accepted as evidence, and who signed which files is said on stderr.

    \b
    Examples:
      edgefair inspect dist/people
      edgefair inspect dist/people --public-key edgefair.pub
      edgefair inspect dist/people --public-key edgefair.pub --project people --counter 7
      edgefair inspect dist/people --public-key edgefair.pub --signed-policy policy.dsse.json
    """
    if signed_policy is not None and public_key is None:
        raise click.UsageError(
            "--signed-policy needs --public-key: a policy that anybody might have signed is no proof"
        )
    from edgefair.bundle.attestation import open_release
    from edgefair.bundle.pledge import check_pledged
    from edgefair.probe.bundles.demands import Demands

    try:
        demands = Demands(project, policy, not_before, counter)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    opened = open_release(bundle, public_key, demands)
    if signed_policy is not None and public_key is not None:
        check_pledged(opened, signed_policy, public_key)
    sys.stdout.write(json_in_a_log(opened.manifest.to_json()) + "\n")
    sys.stdout.flush()
    say(*_signature(opened, public_key))


def _signature(opened: Bundle, public_key: Path | None) -> list[str]:
    """Who signed what."""
    signed = opened.signed
    if signed is None or public_key is None:
        return ["the files are what the manifest says; whose they are was not checked (--public-key)"]
    from edgefair.bundle.signing import key_id

    release = signed.release
    which = "" if release.counter is None else f", release {release.counter}"
    here = [name for name in signed.files if (opened.path / name).is_file()]
    left = [name for name in signed.files if name not in here]
    return [
        f"signed by the owner of {public_key} (key {key_id(public_key)[:16]}): {signed.outcome} of project "
        f"'{release.project}'{which}, judged {release.created}",
        f"the signature covers {len(here)} files here: {', '.join(here)}",
        *([f"it covers {len(left)} more, which were left behind: {', '.join(left)}"] if left else []),
    ]
