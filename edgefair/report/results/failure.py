"""Why there is no result, as one value that formats can write in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from edgefair.errors import EdgefairError, error_lines
from edgefair.report.results.base import read_fields

FAILURE_SCHEMA = "edgefair.error/1"


@dataclass(frozen=True)
class Failure:
    """An error that ended a command. Never a verdict.

    Attributes:
        kind: the error's class, as `MeasurementError`; `InternalError` for what is none of `edgefair.errors`.
        found, expected, fix: in words; None where the error does not say.
        exit_code: 2 usage, data, policy or model; 4 the measurement.
    """

    schema: ClassVar[str] = FAILURE_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.failure"

    kind: str
    found: str
    expected: str | None
    fix: str | None
    exit_code: int

    @classmethod
    def of(cls, error: EdgefairError) -> Failure:
        """The failure that an error is."""
        return cls(type(error).__name__, error.found, error.expected, error.fix, error.exit_code)

    @property
    def lines(self) -> tuple[str, ...]:
        """What was found, what was expected and the fix, for a line each."""
        return error_lines(self.found, self.expected, self.fix)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"schema": FAILURE_SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            ValueError: not such a result.
        """
        return read_fields(cls, data)
