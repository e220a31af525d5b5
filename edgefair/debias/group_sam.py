"""Group-wise sharpness-aware minimization: a minimum that is flat for every group, before weights are moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from edgefair.debias.base import Debias, Surroundings
from edgefair.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


class GroupSam(Debias):
    """min_w sum_g L_g(w + rho grad L_g(w) / |grad L_g(w)|): every group's loss at the worst weights near w for *it*.

    L_g is the share of group g in the batch's weighted cross-entropy. Quantization and pruning move the weights; what a
    group loses by a small move is its gradient and its curvature (Tran et al., "Pruning has a disparate impact on model
    accuracy", NeurIPS 2022), which for a small group the sharpness of the average loss hides. The step of Foret et al.,
    "Sharpness-aware minimization", ICLR 2021, taken for each group by itself: grad L_g is the direction and the
    gradient at the end of it takes its place. Groups are joint groups over all labels; one that a batch lacks adds
    nothing. Penalties and teachers of the step keep their gradients at w.

    It takes one more pass forwards and two backwards for every group. Combine it with what weighs cells or constrains
    rates: by itself it does not prefer any group.
    """

    search: ClassVar[Mapping[str, tuple[float, float]]] = {"rho": (0.005, 0.2)}
    few_rows = "its direction is that of the few rows that a batch holds"
    looks_around = True

    def __init__(self, *, rho: float = 0.05) -> None:
        if rho <= 0:
            raise UsageError(f"group-sam: rho is {rho}", expected="above 0: how far the weights are moved")
        self.rho = rho

    def look_around(
        self,
        around: Surroundings,
        gradients: Sequence[Tensor],
        *,
        weights: Tensor,
        label: Tensor,
        group: Tensor,
    ) -> None:
        """Put the gradient at w + rho grad L_g / |grad L_g| in the place of grad L_g, for every group g."""
        import torch

        present = group.bincount().nonzero()[:, 0].tolist()
        here = self._losses(around, weights, label, group, present)
        own = [around.gradients(loss) for loss in here]
        kept = [parameter.detach().clone() for parameter in around.parameters]
        for index, direction in enumerate(own):
            norm = torch.sqrt(sum((part.square().sum() for part in direction), start=torch.zeros(())))
            if not norm > 0:
                continue
            with torch.no_grad():
                for parameter, part in zip(around.parameters, direction, strict=True):
                    parameter.add_(part, alpha=self.rho / float(norm))
            (there,) = self._losses(around, weights, label, group, present[index : index + 1])
            for gradient, new, old in zip(gradients, around.gradients(there), direction, strict=True):
                gradient.add_(new - old)
            with torch.no_grad():
                for parameter, value in zip(around.parameters, kept, strict=True):
                    parameter.copy_(value)

    @staticmethod
    def _losses(around: Surroundings, weights: Tensor, label: Tensor, group: Tensor, of: Sequence[int]) -> list[Tensor]:
        """L_g of some groups, a scalar each; over all groups they add up to the batch's weighted cross-entropy."""
        from torch.nn import functional

        losses = functional.cross_entropy(around.logits(), label, reduction="none") * weights
        return [losses[group == index].sum() / len(losses) for index in of]
