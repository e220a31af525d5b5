"""`edgefair check`."""

from __future__ import annotations

from pathlib import Path

import click

from edgefair.cli.say import say
from edgefair.errors import EXIT_USAGE, EdgefairError


@click.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    default=None,
    help="Require that bundles are signed by the owner of this key (PEM).",
)
@click.pass_context
def command(ctx: click.Context, files: tuple[Path, ...], public_key: Path | None) -> None:
    """Check that configs are valid and that bundles match their manifests and signatures. Nothing is measured.

    FILES are configs (.yaml), and bundles or their manifest.json. All of them are checked; exit code 2 if any of
    them fails. Fast, and needs no data: made for a pre-commit hook.

    \b
    Examples:
      edgefair check edgefair.yaml
      edgefair check edgefair.yaml dist/people --public-key edgefair.pub
    """
    from edgefair.workflow.project.check import check_file

    failed = 0
    for path in files:
        try:
            check_file(path, public_key)
        except EdgefairError as error:
            failed += 1
            say(f"error: {error.lines[0]}", *error.lines[1:])
    if failed:
        say(f"{failed} of {len(files)} failed")
        ctx.exit(EXIT_USAGE)
    say(f"{len(files)} checked")
