"""Equalized-odds penalty with dual ascent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from edgefair.debias.base import Cells, Debias
from edgefair.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, device

# A batch holds a dozen rows of a rare cell: the constraint is judged on a mean over about 1 / (1 - MEMORY) batches,
# because the largest difference of noisy means is positive even where the model is fair.
MEMORY = 0.98


class EoPenalty(Debias):
    """Least cross-entropy subject to v_{y,c} <= eps, both labels, by dual ascent.

    v_{y,c} = max_s E[p_c | y, s] - min_s E[p_c | y, s] is the soft equalized-odds difference of class c among the rows
    of label y, from running means of the (label, group) cells. The loss gains
    sum_{y,c} lambda_{y,c} (E_batch[p_c | y, high] - E_batch[p_c | y, low]), where high and low are the groups that
    attain v; after each step lambda_{y,c} <- clip(lambda_{y,c} + dual_lr (v_{y,c} - eps), 0, max_lambda)
    (Padala & Gujar, FNNC, IJCAI 2020; Lokhande et al., FairALM, ECCV 2020).

    A cell that is absent from a batch contributes nothing to its loss. Alone it is often best satisfied by a model that
    decides one class for everybody: combine it with `reweigh`, and let the policy hold a floor.

    `labels` names the classes whose rows are constrained; default: all. Equal opportunity constrains the positive one
    alone. What is not constrained often gets worse (that is what the option can show): the policy judges all labels.
    """

    search: ClassVar[Mapping[str, tuple[float, float]]] = {"eps": (0.002, 0.05), "dual_lr": (0.005, 0.1)}
    few_rows = "its rate is a running mean over many batches, so its noise is smoothed"

    def __init__(
        self,
        *,
        eps: float = 0.01,
        dual_lr: float = 0.02,
        max_lambda: float = 10.0,
        labels: Sequence[str | int] | None = None,
    ) -> None:
        if labels is not None and (isinstance(labels, str) or not labels):
            raise UsageError(f"eo-penalty: labels is {labels!r}", expected="a list of classes, or nothing for all")
        self.labels = labels
        self.eps = eps
        self.dual_lr = dual_lr
        self.max_lambda = max_lambda
        self._state: dict[str, Tensor] = {}

    def start(self, cells: Cells) -> None:
        """Begin with a price of 0 on every difference.

        Raises:
            UsageError: `labels` names something that is no class.
        """
        import torch

        names = cells.classes if self.labels is None else [str(name) for name in self.labels]
        for name in names:
            if name not in cells.classes:
                raise UsageError(
                    f"eo-penalty: labels has '{name}', which is no class{did_you_mean(name, cells.classes)}",
                    expected=f"some of {', '.join(cells.classes)}",
                )
        self._constrained = torch.tensor([[name in names] for name in cells.classes])
        classes, groups = len(cells.classes), len(cells.groups)
        self._state = {
            "lambda": torch.zeros(classes, classes),
            "rows": torch.zeros(classes, groups),
            "sums": torch.zeros(classes, groups, classes),
        }

    def penalty(self, logits: Tensor, label: Tensor, group: Tensor) -> Tensor:
        """The Lagrangian term of one batch, a scalar."""
        import torch

        state = self._state
        classes, groups = state["rows"].shape
        cell = label * groups + group
        rows = (
            logits.new_zeros(classes * groups).index_add(0, cell, logits.new_ones(len(cell))).reshape(classes, groups)
        )
        sums = logits.new_zeros(classes * groups, classes).index_add(0, cell, logits.softmax(dim=1))
        sums = sums.reshape(classes, groups, classes)
        state["rows"] = MEMORY * state["rows"] + rows
        state["sums"] = MEMORY * state["sums"] + sums.detach()
        high, low = _extremes(state["rows"], state["sums"])
        present = (rows > 0).unsqueeze(2).expand_as(sums)
        means = sums / rows.clamp(min=1).unsqueeze(2)
        both = present.gather(1, high) & present.gather(1, low)
        difference = torch.where(both, means.gather(1, high) - means.gather(1, low), 0.0).squeeze(1)
        return (state["lambda"] * difference).sum()

    def end_step(self) -> None:
        """Projected dual ascent on lambda."""
        import torch

        rows, sums = self._state["rows"], self._state["sums"]
        high, low = _extremes(rows, sums)
        means = sums / rows.clamp(min=1e-9).unsqueeze(2)
        violation = (means.gather(1, high) - means.gather(1, low)).squeeze(1) - self.eps
        comparable = ((rows > 0).sum(dim=1, keepdim=True) >= 2) & self._constrained
        step = torch.where(comparable, self.dual_lr * violation, 0.0)
        self._state["lambda"] = (self._state["lambda"] + step).clamp(0.0, self.max_lambda)

    def state(self) -> dict[str, Tensor]:
        """Dual variables [labels, classes] and running cells [labels, groups(, classes)]."""
        return dict(self._state)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from stored dual variables and running cells."""
        self._state = dict(state)

    def to(self, place: device) -> None:
        """Move dual variables and running cells."""
        self._state = {name: value.to(place) for name, value in self._state.items()}
        self._constrained = self._constrained.to(place)


def _extremes(rows: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    """Groups with the highest and the lowest running mean: int64 [labels, 1, classes] each."""
    import torch

    seen = (rows > 0).unsqueeze(2)
    means = sums / rows.clamp(min=1e-9).unsqueeze(2)
    high = torch.where(seen, means, -torch.inf).argmax(dim=1, keepdim=True)
    low = torch.where(seen, means, torch.inf).argmin(dim=1, keepdim=True)
    return high, low
