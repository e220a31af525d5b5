"""`edgefair study schema`."""

from __future__ import annotations

import json
import sys

import click


@click.command("schema")
def schema() -> None:
    """Print the JSON Schema of a plan, for editors.

    \b
    Examples:
      edgefair study schema > study-plan.schema.json
    """
    from edgefair.study.schema import plan_schema

    sys.stdout.write(json.dumps(plan_schema(), indent=1) + "\n")
