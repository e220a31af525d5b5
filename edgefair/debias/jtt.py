"""Just train twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from edgefair.debias.base import Cells, Debias, mean_one
from edgefair.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


class Jtt(Debias):
    """Train for a few epochs, upweight the rows that are still misclassified, and retrain.

    The only method here that needs no group in the training rows (Liu et al., "Just train twice: improving group
    robustness without training group information", ICML 2021). The errors of a short training are mostly rows of rare
    cells where those are hard; where they are mostly mislabelled rows, it amplifies label noise.
    """

    sets_weights = True
    search: ClassVar[Mapping[str, tuple[float, float]]] = {"upweight": (2.0, 50.0)}
    few_rows = "it is not treated as a cell: only its misclassified rows gain weight"

    def __init__(self, *, epochs: int = 1, upweight: float = 5.0) -> None:
        if epochs < 1:
            raise UsageError(f"jtt: epochs is {epochs}", expected="at least 1")
        if upweight < 1:
            raise UsageError(f"jtt: upweight is {upweight}", expected="at least 1; the paper uses 5 to 100")
        self.identify_epochs = epochs
        self.upweight = upweight
        self._state: dict[str, Tensor] = {}

    def learn_errors(self, wrong: Tensor) -> None:
        """Take the error set, bool [rows]."""
        self._state = {"wrong": wrong}
        self.identify_epochs = 0

    def row_weights(self, cells: Cells) -> Tensor:
        """`upweight` for the error set and 1 for the others, scaled to mean 1: float32 [rows]."""
        import torch

        wrong = self._state.get("wrong", torch.zeros(len(cells.label), dtype=torch.bool))
        return mean_one(1.0 + (self.upweight - 1.0) * wrong.double())

    def state(self) -> dict[str, Tensor]:
        """The error set, bool [rows]."""
        return dict(self._state)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back the error set; there is nothing left to identify."""
        if state:
            self.learn_errors(state["wrong"])
