"""`edgefair data`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from edgefair.cli.options import config_options, json_option, overrides


@click.group("data")
def command() -> None:
    """What the data holds."""


@command.command("describe")
@json_option
@config_options
def describe_command(as_json: bool, config_path: Path, settings: tuple[str, ...]) -> None:
    """Groups x labels of every split, with counts and base rates.

    \b
    Examples:
      edgefair data describe
      edgefair data describe --set data.source=other.parquet --json
    """
    from edgefair.config import load_config
    from edgefair.data.dataset import load
    from edgefair.data.summary import describe
    from edgefair.report.console import stdout_console
    from edgefair.report.data import render, summary_json

    config = load_config(config_path, overrides(settings))
    summary = describe(load(config.data, base=config.base, roles=["train", "validation", "audit"]))
    if as_json:
        sys.stdout.write(json.dumps(summary_json(summary), indent=1) + "\n")
    else:
        stdout_console().print(render(summary))
