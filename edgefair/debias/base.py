"""What a debiasing method is, to the training loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Cells:
    """The sensitive group and the label of every training row.

    Attributes:
        group: int64 [rows], index into `groups`.
        label: int64 [rows], index into `classes`.
        groups: names of the (joint) sensitive groups.
        classes: names of the labels.
    """

    group: Tensor
    label: Tensor
    groups: tuple[str, ...]
    classes: tuple[str, ...]

    def counts(self) -> Tensor:
        """Rows in each cell: int64 [groups, classes]."""
        flat = self.group * len(self.classes) + self.label
        return flat.bincount(minlength=len(self.groups) * len(self.classes)).reshape(
            len(self.groups), len(self.classes)
        )


class Debias(Protocol):
    """One treatment. Each method may do nothing, and does so unless a subclass says otherwise.

    The loop calls `row_weights` once before the first epoch, `penalty` on every batch (its value is added to the
    weighted cross-entropy) and `end_step` after every optimizer step. `state` and `load_state` carry what the method
    learned across a resumed run.
    """

    def row_weights(self, cells: Cells) -> Tensor | None:  # noqa: ARG002
        """Weight of every row in the cross-entropy, float32 [rows] with mean 1, or None for equal weights."""
        return None

    def penalty(self, logits: Tensor, label: Tensor, group: Tensor) -> Tensor | None:  # noqa: ARG002
        """A scalar added to the loss of one batch (logits [batch, classes], label and group int64 [batch])."""
        return None

    def end_step(self) -> None:
        """Called after the optimizer has moved: the place for dual variables."""
        return

    def state(self) -> dict[str, Tensor]:
        """Tensors to store in a checkpoint."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:  # noqa: ARG002
        """Take back what `state` returned."""
        return
