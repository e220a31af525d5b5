"""A cell of a study: what is made and measured, and what of it others share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgefair.study.levels import FACTORS, PURITY, Extent, Purity, Treatment

# Between the factors of a condition.
AND = "; "


@dataclass(frozen=True)
class Cell:
    """One file that is made and measured: a level of every factor of `FACTORS`, and a seed."""

    noise: Purity
    keep: Purity
    thin: Purity
    extent: Extent
    treatment: Treatment
    seed: int

    @property
    def condition(self) -> str:
        """The cell but for its seed, as `noise 0; keep all; thin none; extent int8; treatment before`."""
        return AND.join(f"{name} {getattr(self, name)}" for name in FACTORS)

    @property
    def key(self) -> str:
        """The cell in one line: condition and seed."""
        return f"{self.condition}{AND}seed {self.seed}"

    @property
    def can_be(self) -> bool:
        """Whether there is a fine-tune to treat where one is treated."""
        return self.extent.training == "finetune" or not self.treatment.of_finetune

    @property
    def network(self) -> tuple[str, ...]:
        """Equal for cells that share all their training: they differ in precision or in what is done after."""
        tuned = [self.treatment.weighs("during")] if self.extent.training == "finetune" else []
        return (*self._data, str(self.extent.network), self.treatment.weighs("before"), *tuned)

    @property
    def made(self) -> tuple[Any, ...]:
        """Equal for cells that are one file: what treatments name may do the same, as where there is no fine-tune."""
        return (*self.network, self.extent.precision, "after" in self.treatment.parts)

    @property
    def start(self) -> tuple[str, ...]:
        """Equal for cells whose dense network, trained from the start, is one."""
        return (*self._data, self.treatment.weighs("before"))

    @property
    def dense(self) -> tuple[str, ...] | None:
        """Equal for cells that start from one dense training; None for a network that is trained anew."""
        return None if self.extent.training == "anew" else self.start

    @property
    def _data(self) -> tuple[str, ...]:
        return (*(str(getattr(self, name)) for name in PURITY), str(self.seed))


@dataclass(frozen=True)
class Trainings:
    """How many trainings the cells need.

    Attributes:
        dense: of the whole network from the start.
        anew: of a small network from the start (`scratch`).
        finetunes: behind a compression, with a teacher for `distil`.
        unshared: trainings if every cell made all of its own.
    """

    dense: int
    anew: int
    finetunes: int
    unshared: int

    @property
    def saved(self) -> int:
        """Trainings that sharing spares."""
        return self.unshared - self.dense - self.anew - self.finetunes
