"""The `edgefair` command. Each sub-command is a file of `commands`, imported only when it is used.

Options, output and exit codes are handled here, and nothing else: all work is a call of `workflow`.
"""

from __future__ import annotations

import gc
import importlib
import io
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

import edgefair
from edgefair.cli.failures import tell_failure
from edgefair.cli.say import say
from edgefair.cli.streams import open_streams, settle
from edgefair.cli.timings import timings_of, with_timings
from edgefair.errors import EXIT_MEASUREMENT, EXIT_USAGE, EdgefairError, did_you_mean

# What one wants (a folder of `commands`) -> name -> one-line help. The table is data, so `edgefair --help` imports no
# command.
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Begin": {
        "init": "Write edgefair.yaml for this project.",
        "data": "What the data holds: groups, labels and base rates (`data describe`).",
        "plan": "Can this audit set decide at this threshold? Rows needed per cell.",
        "doctor": "What is installed here, what works, and what to do for the rest.",
    },
    "Make": {
        "train": "Train (and debias) a network into runs/NAME.",
        "export": "Compress, measure on the target, and write the bundle only if every gate passes.",
    },
    "Judge": {
        "verify": "Measure a bundle or an .onnx file on the target and judge it.",
        "compare": "What changes from one model to another, and for whom.",
        "audit": "The seal of the audit rows: what is spent of it, and opening it.",
        "report": "Show saved results again, in any format; several as one document.",
    },
    "Understand": {
        "diagnose": "Who stands to lose from compression: hints from the trained model, per group and label.",
        "explain": "Which layer hurts whom: INT8, pruning, saturation and clipping, layer by layer.",
        "study": "How data quality, compression and treatment each move the bias (`study PLAN`).",
    },
    "Devices": {
        "target": "Devices that a model can be measured on: list, prepare, probe.",
    },
    "Trust": {
        "policy": "Sign what models will be judged by, before they are (`policy sign`).",
        "sign": "Sign a bundle, so that devices can refuse what is not yours.",
        "inspect": "Check a bundle's digests and signature, and print its manifest.",
        "check": "Are configs and bundles as they should be? Measures nothing; for pre-commit.",
    },
}
COMMANDS: Mapping[str, str] = {name: said for section in SECTIONS.values() for name, said in section.items()}
_HOME = {name: f"{__name__}.commands.{title.lower()}.{name}" for title, section in SECTIONS.items() for name in section}
EXIT_INTERRUPTED = 130
# New objects, and collections of a generation, after which garbage is looked for. The usual 700, 10 and 10 take a
# tenth of `train` and `export`, mostly through what torch and its exporter keep.
RARELY = (10_000, 20, 50)


class EdgefairGroup(click.Group):
    """Loads commands lazily and maps every exception to its exit code, here and nowhere else."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the order of a project's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the file of one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(_HOME[cmd_name]).command
        return with_timings(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named, or the nearest one for the message."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command '{args[0]}'{did_you_mean(args[0], COMMANDS)}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands by what one wants, without importing them."""
        width = max(map(len, COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), said) for name, said in commands.items()])

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        """Run, and leave with 0 PASS, 1 FAIL, 2 usage, 3 INCONCLUSIVE, 4 failed measurement, 130 interrupted."""
        arguments = list(sys.argv[1:] if args is None else args)
        if args is None:
            gc.set_threshold(*RARELY)
        for stream in (sys.stdout, sys.stderr):
            # A letter that the terminal's encoding lacks is not a reason to lose a result.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        extra.pop("standalone_mode", None)
        with timings_of(arguments, whole_process=args is None):
            code = self._code(arguments, extra)
        settle(sys.stdout)
        settle(sys.stderr)
        sys.exit(code if isinstance(code, int) else 0)

    def _code(self, arguments: list[str], extra: dict[str, Any]) -> Any:
        """Run; the exit code, or what a command gives that has none."""
        try:
            open_streams()
            code = super().main(arguments, standalone_mode=False, obj=arguments, **extra)
            sys.stdout.flush()
        except Exception as error:
            if "--debug" in arguments:
                say(*(f"  {line}" for line in traceback.format_exc().splitlines()))
            code = _explain(error)
            if code in {EXIT_USAGE, EXIT_MEASUREMENT} and not isinstance(error, BrokenPipeError):
                tell_failure(error, code, arguments)
        except KeyboardInterrupt:
            code = _stop(EXIT_INTERRUPTED, "interrupted")
        except SystemExit:
            # click leaves with 1, which would read as FAIL, where stdout's reader has gone.
            code = _explain(BrokenPipeError())
        return code


def _explain(error: Exception) -> int:
    """Say what went wrong on stderr; the exit code. An error that is not a verdict never exits with 1."""
    match error:
        case EdgefairError():
            return _stop(error.exit_code, *error.lines)
        case click.UsageError():
            usage = [] if error.ctx is None else [*error.ctx.get_usage().splitlines(), _hint(error.ctx), ""]
            say(*usage, f"Error: {error.format_message()}")
            return EXIT_USAGE
        case click.ClickException():
            return _stop(EXIT_USAGE, error.format_message())
        case click.Abort():
            return _stop(EXIT_INTERRUPTED, "interrupted")
        case BrokenPipeError():
            return EXIT_MEASUREMENT
        case OSError() if error.filename is None and not settle(sys.stdout, "\n"):
            # 0 would say that whoever waits for the result has it.
            return _stop(
                EXIT_MEASUREMENT, f"the result could not be printed: {error.strerror}; this exit code is not a verdict"
            )
        case OSError():
            return _stop(EXIT_USAGE, f"{error.strerror}: '{error.filename}'" if error.filename else str(error))
        case _:
            return _stop(
                EXIT_MEASUREMENT,
                f"internal error, no verdict: {type(error).__name__}: {error}",
                "to fix: run again as `edgefair --debug ...` and report what it prints",
            )


def _hint(ctx: click.Context) -> str:
    return f"Try '{ctx.command_path} {ctx.help_option_names[-1]}' for help."


def _stop(code: int, found: str, *more: str) -> int:
    say(f"error: {found}", *more)
    return code


@click.group(
    cls=EdgefairGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 PASS, 1 FAIL, 2 usage or policy error, 3 INCONCLUSIVE, 4 failed measurement.",
)
@click.version_option(edgefair.__version__, prog_name="edgefair")
@click.option("--debug", is_flag=True, help="Print the traceback of an error.")
def main(debug: bool) -> None:
    """Compress a model for the edge, and ship it only if it is shown to be fair on the device.

    \b
    A project's life:
      edgefair init --data census-income --sensitive sex
      edgefair plan                          can the audit set decide?
      edgefair train --debias reweigh        train and debias
      edgefair export --int8                 compress, measure, gate, ship or block
      edgefair verify --max-eo-gap 0.05      judge the shipped file again

    Results go to stdout. Progress goes to stderr: a bar on a terminal, or in a log a line for every stage and epoch.
    """
