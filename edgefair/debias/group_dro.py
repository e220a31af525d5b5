"""Distributionally robust optimization over groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from edgefair.debias.base import Cells, Debias, inverse_frequency
from edgefair.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, device


class GroupDro(Debias):
    """min over the network, max over q of sum_c q_c L_c, where c runs over the (group, label) cells.

    Every batch: q_c <- q_c exp(eta L_c) for the cells that it holds, q <- q / sum q, loss sum_c q_c L_c (Sagawa et al.,
    "Distributionally robust neural networks", ICLR 2020, algorithm 1), on batches with balanced cells. The paper
    shows that it needs strong weight decay or early stopping: without them every cell's training loss vanishes.
    """

    sets_weights = True
    search: ClassVar[Mapping[str, tuple[float, float]]] = {"eta": (0.001, 0.1)}
    few_rows = "its rows are drawn again and again, and its noisy loss can attract most of the weight"

    def __init__(self, *, eta: float = 0.01) -> None:
        if eta < 0:
            raise UsageError(f"group-dro: eta is {eta}", expected="0 or more")
        self.eta = eta
        self._classes = 0
        self._state: dict[str, Tensor] = {}

    def start(self, cells: Cells) -> None:
        """Begin with equal weight on every cell (DataError where one has no row)."""
        import torch

        cells.require_all("group-dro")
        self._classes = len(cells.classes)
        size = len(cells.groups) * self._classes
        self._state = {"q": torch.full((size,), 1.0 / size)}

    def sampling_weights(self, cells: Cells) -> Tensor:
        """Inverse cell frequency, float32 [rows]."""
        return inverse_frequency(cells).float()

    def batch_weights(self, losses: Tensor, label: Tensor, group: Tensor) -> Tensor:
        """Move q, then weigh every row by q_c * batch / rows of its cell, float32 [batch]."""
        import torch

        q = self._state["q"]
        cell = group * self._classes + label
        rows = torch.bincount(cell, minlength=len(q)).float()
        means = torch.zeros_like(q).index_add(0, cell, losses) / rows.clamp(min=1.0)
        q = (q.log() + self.eta * means).softmax(dim=0)
        self._state["q"] = q
        return (q / rows.clamp(min=1.0))[cell] * len(cell)

    def state(self) -> dict[str, Tensor]:
        """q float32 [groups * classes]."""
        return dict(self._state)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a stored q."""
        self._state = dict(state)

    def to(self, place: device) -> None:
        """Move q."""
        self._state = {name: value.to(place) for name, value in self._state.items()}
