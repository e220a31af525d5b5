"""No group shall lose more by compression than all do: dual ascent on the excess loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from edgefair.debias.base import Cells, Debias
from edgefair.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


class ExcessLoss(Debias):
    """Least cross-entropy subject to psi_g <= eps for every group g, in a training after compression.

    psi_g = (A_g(dense) - A_g) - (A(dense) - A), where A is the accuracy over all rows and A_g that of a group: what a
    group loses beyond what all lose, as the gate `max_excess_loss` judges it. It has no gradient, so the loss gains
    sum_g lambda_g (L_g - L) with mean cross-entropies L of the batch, and after each step
    lambda_g <- max(lambda_g + dual_lr (psi_g - eps), 0), all scaled so that they add up to at most max_lambda: above 1
    the loss of all would be driven up. A_g is that of the last `memory` rows of the
    group (a replay buffer: a batch holds few rows of a small one), A the sum of A_g weighted by the groups' shares;
    A_g(dense) is that of the model before compression on all training rows (Hashemizadeh et al., "Balancing Act:
    Constraining Disparate Impact in Sparse Models", ICLR 2024, algorithm 1 and eq. 5 to 7).

    Groups are joint groups over all labels; one without rows in a batch adds nothing to its loss. A decision is the
    most probable class.
    """

    search: ClassVar[Mapping[str, tuple[float, float]]] = {"eps": (0.001, 0.02), "dual_lr": (0.01, 1.0)}
    few_rows = "its accuracy is that of the same few rows again and again"
    needs_reference = True

    def __init__(self, *, eps: float = 0.005, dual_lr: float = 0.1, max_lambda: float = 1.0, memory: int = 256) -> None:
        if memory < 1:
            raise UsageError(f"excess-loss: memory is {memory}", expected="at least 1 row of every group")
        if dual_lr < 0 or max_lambda < 0:
            raise UsageError("excess-loss: dual_lr and max_lambda are 0 or more")
        self.eps = eps
        self.dual_lr = dual_lr
        self.max_lambda = max_lambda
        self.memory = memory
        self._state: dict[str, Tensor] = {}

    def start(self, cells: Cells) -> None:
        """Begin with a price of 0, and with nothing in the buffers."""
        import torch

        groups = len(cells.groups)
        rows = cells.group.bincount(minlength=groups).float()
        self._group = cells.group
        self._share = rows / rows.sum()
        self._state = {
            "lambda": torch.zeros(groups),
            "right": torch.zeros(groups, self.memory),
            "seen": torch.zeros(groups, dtype=torch.int64),
        }

    def learn_reference(self, right: Tensor) -> None:
        """Take which training rows the model before compression decides rightly."""
        import torch

        groups = len(self._share)
        rows = self._group.bincount(minlength=groups).clamp(min=1)
        self._dense = torch.bincount(self._group, weights=right.float(), minlength=groups).float() / rows

    def penalty(self, logits: Tensor, label: Tensor, group: Tensor) -> Tensor:
        """The Lagrangian term of one batch, a scalar; the buffers take its rows."""
        from torch.nn import functional

        self._remember((logits.detach().argmax(dim=1) == label).float().cpu(), group.cpu())
        losses = functional.cross_entropy(logits, label, reduction="none")
        price = self._state["lambda"].to(logits.device)
        rows = group.bincount(minlength=len(price))
        of_group = losses.new_zeros(len(price)).index_add(0, group, losses) / rows.clamp(min=1)
        return (price * (of_group - losses.mean()) * (rows > 0)).sum()

    def psi(self) -> Tensor:
        """psi_g by the buffers, float32 [groups]; 0 for a group that no batch has held yet."""
        import torch

        seen = self._state["seen"].clamp(max=self.memory)
        accuracy = self._state["right"].sum(dim=1) / seen.clamp(min=1)
        loss = torch.where(seen > 0, self._dense - accuracy, 0.0)
        return torch.where(seen > 0, loss - (self._share * loss).sum(), 0.0)

    def end_step(self) -> None:
        """Projected dual ascent on lambda."""
        step = self.dual_lr * (self.psi() - self.eps)
        price = (self._state["lambda"] + step).clamp(min=0.0)
        self._state["lambda"] = price * min(1.0, self.max_lambda / max(float(price.sum()), 1e-9))

    def state(self) -> dict[str, Tensor]:
        """Prices [groups], the last rows of every group [groups, memory], and how many it has had."""
        return dict(self._state)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from stored prices and buffers."""
        self._state = dict(state)

    def _remember(self, right: Tensor, group: Tensor) -> None:
        """Put every row over the oldest one of its group."""
        buffers, seen = self._state["right"].clone(), self._state["seen"].clone()
        for index in group.bincount().nonzero()[:, 0].tolist():
            new = right[group == index][-self.memory :]
            place = (int(seen[index]) + _range(len(new))) % self.memory
            buffers[index, place] = new
            seen[index] += len(new)
        self._state["right"], self._state["seen"] = buffers, seen


def _range(count: int) -> Tensor:
    import torch

    return torch.arange(count)
