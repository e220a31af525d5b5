"""`edgefair study`: a plan is run where no command is named."""

from __future__ import annotations

import click

from edgefair.cli.commands.understand.study.report import report
from edgefair.cli.commands.understand.study.run import run
from edgefair.cli.commands.understand.study.schema import schema


class _RunsByDefault(click.Group):
    """What is no command of the group is the plan, or an option, of its default one."""

    default = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default before the arguments where no command stands there."""
        own = {*self.commands, *self.get_help_option_names(ctx)}
        return super().parse_args(ctx, args if not args or args[0] in own else [self.default, *args])


@click.group("study", cls=_RunsByDefault)
def command() -> None:
    """How data quality, compression and treatment each move the bias of a model.

    A plan fixes factors, levels, seeds and contrasts before anything is run. `edgefair study PLAN` runs it; its options
    are those of `edgefair study run --help`.

    \b
    Examples:
      edgefair study --list
      edgefair study census-quick --dry-run
      edgefair study census-quick --executor processes
      edgefair study my-plan.yaml --output studies/mine
      edgefair study report studies/mine --format html=study.html
    """


command.add_command(run)
command.add_command(report)
command.add_command(schema)
