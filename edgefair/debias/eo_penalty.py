"""Equalized-odds penalty with dual ascent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgefair.debias.base import Cells, Debias

if TYPE_CHECKING:
    from torch import Tensor


class EoPenalty(Debias):
    """Add sum_{y,c} lambda_{y,c} (v_{y,c} - eps) to the loss, and raise lambda while v exceeds eps.

    v_{y,c} = max_s E[p_c | y, s] - min_s E[p_c | y, s] is the soft equalized-odds difference of class c among rows of
    label y: an upper-bounded stand-in for the gap that `decide` judges, both labels included. After each step
    lambda_{y,c} <- clip(lambda_{y,c} + dual_lr (v_{y,c} - eps), 0, max_lambda): projected dual ascent on the
    constrained problem "least cross-entropy subject to v <= eps" (Padala & Gujar, FNNC, IJCAI 2020; Lokhande et al.,
    FairALM, ECCV 2020).

    A (group, label) cell that is absent from a batch contributes nothing: v is taken over the groups present, and a
    label with fewer than two groups present leaves its lambda as it was.
    """

    def __init__(self, *, eps: float = 0.01, dual_lr: float = 0.05, max_lambda: float = 10.0) -> None:
        self.eps = eps
        self.dual_lr = dual_lr
        self.max_lambda = max_lambda
        self._lambda: Tensor | None = None
        self._groups = 0
        self._violation: Tensor | None = None

    def row_weights(self, cells: Cells) -> None:
        """Learn the number of groups and classes; every row keeps its weight."""
        import torch

        self._groups = len(cells.groups)
        if self._lambda is None:
            self._lambda = torch.zeros(len(cells.classes), len(cells.classes))

    def penalty(self, logits: Tensor, label: Tensor, group: Tensor) -> Tensor:
        """The penalty of one batch, a scalar >= 0 up to eps * sum(lambda)."""
        import torch

        assert self._lambda is not None, "row_weights is called before penalty"
        classes = logits.shape[1]
        probabilities = logits.softmax(dim=1)
        cell = label * self._groups + group
        rows = torch.zeros(classes * self._groups).index_add(0, cell, torch.ones(len(cell)))
        sums = torch.zeros(classes * self._groups, classes).index_add(0, cell, probabilities)
        means = (sums / rows.clamp(min=1).unsqueeze(1)).reshape(classes, self._groups, classes)
        present = (rows > 0).reshape(classes, self._groups, 1)
        highest = means.masked_fill(~present, -torch.inf).amax(dim=1)
        lowest = means.masked_fill(~present, torch.inf).amin(dim=1)
        comparable = present.sum(dim=1) >= 2
        excess = torch.where(comparable, highest - lowest - self.eps, torch.zeros(()))
        self._violation = excess.detach()
        return (self._lambda * excess).sum()

    def end_step(self) -> None:
        """Projected dual ascent on lambda."""
        if self._lambda is not None and self._violation is not None:
            self._lambda = (self._lambda + self.dual_lr * self._violation).clamp(0.0, self.max_lambda)

    def state(self) -> dict[str, Tensor]:
        """The dual variables, float32 [labels, classes]."""
        return {} if self._lambda is None else {"lambda": self._lambda}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from stored dual variables."""
        self._lambda = state["lambda"]
