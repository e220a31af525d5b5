"""One damaged input: what is done with it, and what may come of it."""

from collections.abc import Callable
from dataclasses import dataclass

from click.testing import CliRunner

from edgefair.cli import main
from edgefair.errors import EdgefairError

REFUSED = 2


# What a shell cannot give to a command: a NUL; and what it gives for bytes that are no UTF-8.
NOT_IN_ARGUMENTS = {0: "0", 0xD800: "\udcff"}


RECORD = ("verify", "--from-record", "raw.npz")


FAIR = ("verify", "fair.onnx", "--no-latency")


@dataclass(frozen=True)
class Case:
    """What is done, and what may come of it.

    Attributes:
        what: in words, or the command line.
        run: does it; exit code and output.
        allowed: exit codes.
        honest: None, or whether exit code 0 is right for what the damaged input holds.
    """

    what: str
    run: Callable[[], tuple[int, str]]
    allowed: frozenset = frozenset({0, 1, 2, 3})
    honest: Callable[[], bool] | None = None


def command(*arguments, **options):
    """A command line of this process."""
    arguments = [str(item) for item in arguments]
    return Case(" ".join(arguments)[:2000], lambda: invoke(arguments), **options)


def invoke(arguments):
    """Exit code and output of a command line; an exception that it does not handle itself is raised."""
    result = CliRunner().invoke(main, arguments, input="")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def library(what, call, *, refusals=(), **options):
    """A call whose own kinds of refusal count as exit code 2."""

    def run():
        try:
            call()
        except EdgefairError as error:
            return error.exit_code, str(error)
        except refusals as error:
            return REFUSED, str(error)
        return 0, ""

    return Case(what, run, **options)
