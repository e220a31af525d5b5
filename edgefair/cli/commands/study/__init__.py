"""`edgefair study`."""

from __future__ import annotations

import click

from edgefair.cli.commands.study.report import report
from edgefair.cli.commands.study.schema import schema


@click.group("study")
def command() -> None:
    """How purity of the data, extent of compression and treatment each move the bias of a model."""


command.add_command(report)
command.add_command(schema)
