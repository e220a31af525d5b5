"""`edgefair policy`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.options import config_options, overrides
from edgefair.cli.progress import progress_bar
from edgefair.cli.say import say


@click.group("policy")
def command() -> None:
    """Sign the policy before models are judged by it, so that nobody can move the bar afterwards."""


@command.command("sign")
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path),
    envvar="EDGEFAIR_SIGNING_KEY",
    show_envvar=True,
    help="Private ed25519 or P-256 key (PEM). The passphrase of an encrypted one: EDGEFAIR_SIGNING_PASSPHRASE.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("policy.dsse.json"), show_default=True,
    help="The file to write.",
)  # fmt: skip
@config_options
def sign_command(key: Path, output: Path, config_path: Path, settings: tuple[str, ...]) -> None:
    """Sign the digests of the policy and of the audit rows. Nothing is measured.

    Whoever reads a bundle later can require that it was judged by this policy, on these rows, and after the signing:
    `edgefair inspect BUNDLE --public-key KEY --signed-policy FILE`.

    \b
    Examples:
      edgefair policy sign --key edgefair.key
      edgefair policy sign --key edgefair.key -o releases/2026-q4.dsse.json
    """
    from edgefair.config import load_config
    from edgefair.workflow.sealing.pledge import pledge_policy

    config = load_config(config_path, overrides(settings))
    with progress_bar() as progress:
        pledge = pledge_policy(config, output, key=key, progress=progress)
    say(f"signed {output}: policy {pledge.digests['policy'][:16]}, audit rows {pledge.digests['audit rows'][:16]}")


@command.command("check")
@click.argument("signed", type=click.Path(path_type=Path))
@click.option(
    "--public-key",
    required=True,
    type=click.Path(path_type=Path),
    help="Key of who may sign the project's policies (PEM).",
)
@config_options
def check_command(signed: Path, public_key: Path, config_path: Path, settings: tuple[str, ...]) -> None:
    """Check that the project would still be judged by the SIGNED policy on the same rows; if not, exit code 2.

    \b
    Examples:
      edgefair policy check policy.dsse.json --public-key edgefair.pub && edgefair export --int8
    """
    from edgefair.config import load_config
    from edgefair.workflow.sealing.pledge import check_pledge

    config = load_config(config_path, overrides(settings))
    with progress_bar() as progress:
        pledge = check_pledge(config, signed, public_key=public_key, progress=progress)
    say(f"nothing changed since {pledge.created}")
