"""What a training run gave: the values of `edgefair train`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from edgefair.training.run import Run

TRAINED_SCHEMA = "edgefair.trained/1"


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        folder: of the run.
        settings: everything that decided the result, as `Run.settings`.
        metrics: loss per epoch, rates per group on the validation rows, which epoch was kept and why, as `Run.metrics`.
    """

    schema: ClassVar[str] = TRAINED_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.training"

    folder: str
    settings: dict[str, Any]
    metrics: dict[str, Any]

    @classmethod
    def of(cls, run: Run) -> Self:
        """What a run's folder holds, without its weights."""
        return cls(str(run.folder), run.settings, run.metrics)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"schema": TRAINED_SCHEMA, "folder": self.folder, "settings": self.settings, **self.metrics}
