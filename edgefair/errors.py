"""The family of errors a user can meet, each with the exit code that a CI job sees.

    EdgefairError
    ├── UsageError          2  a command, a flag, a config key, a path
    ├── DataError           2  rows, columns, labels, groups
    │   ├── MissingColumnError    (data.sources) a column that is not in the table
    │   ├── ObstaclesError        (workflow.raw_data) all that `init` found in a file, at once
    │   └── DivergedError         (training.loop) a loss that is no longer finite
    ├── PolicyError         2  a policy against itself, the data or mathematics
    ├── ModelError          2  a model file
    └── MeasurementError    4  a device that was lost or contradicts itself
        └── DroppedError          (targets.connection) the connection broke, and may be re-established

The other codes are not errors: 0 PASS, 1 FAIL, 3 INCONCLUSIVE; 130 interrupted. What runs on the device (`probe`) has
its own errors, as it imports nothing of edgefair: the host turns them into one of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from edgefair.installed import command_for

EXIT_USAGE = 2
EXIT_MEASUREMENT = 4


class EdgefairError(Exception):
    """What was found, what was expected, and what to do about it.

    Args:
        found: one sentence with the offending value, file, column or group in it.
        expected: what would have been right, if that is not obvious.
        fix: what the user can do next.
    """

    exit_code = EXIT_USAGE

    def __init__(self, found: str, *, expected: str | None = None, fix: str | None = None) -> None:
        super().__init__(found)
        self.found = found
        self.expected = expected
        self.fix = fix

    @property
    def lines(self) -> tuple[str, ...]:
        """What was found, what was expected and the fix, for a line each."""
        return error_lines(self.found, self.expected, self.fix)

    def __str__(self) -> str:
        return "\n".join(self.lines)


def error_lines(found: str, expected: str | None, fix: str | None) -> tuple[str, ...]:
    """The parts of an error, for a line each."""
    return (found, *((f"expected: {expected}",) if expected else ()), *((f"to fix: {fix}",) if fix else ()))


class UsageError(EdgefairError):
    """A command, a flag, a config key or a path that cannot be used."""


def missing_extra(what: str, extra: str, error: ImportError) -> UsageError:
    """The error for work that needs packages which an extra of edgefair brings, and that are not there.

    Args:
        what: the work, in words that go before "needs".
        error: of the import.
    """
    package = (error.name or "").partition(".")[0] or str(error)
    return UsageError(
        f"{what} needs {package}, which cannot be imported: {str(error).strip()}",
        fix=command_for(extra),
    )


class DataError(EdgefairError):
    """Rows, columns, labels or groups that are not what the config declares."""


class PolicyError(EdgefairError):
    """A policy that contradicts itself, the data, or the mathematics."""


class ModelError(EdgefairError):
    """A model file that cannot be read, checked, converted or bound to the data."""


class MeasurementError(EdgefairError):
    """The device did not give a measurement that can be believed. Never a verdict."""

    exit_code = EXIT_MEASUREMENT


def check_options(
    what: str, options: Iterable[str], known: Sequence[str], *, expected: str | None = None, fix: str | None = None
) -> None:
    """Refuse keyword arguments that a method, an importance or a factory does not take.

    Args:
        what: whose options they are, as "debias method 'jtt'".

    Raises:
        UsageError: the first one that is not known.
    """
    for option in options:
        if option not in known:
            raise UsageError(
                f"{what} has no option '{option}'{did_you_mean(option, known)}", expected=expected, fix=fix
            )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' (did you mean 'x'?)' for the closest known word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
