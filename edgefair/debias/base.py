"""What a debiasing method is, to the training loop."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar, cast

from edgefair.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor, device
    from torch.nn import Parameter
    from torch.optim import Optimizer

# A cell with fewer rows than this is reported: whatever a method does with it rests on a handful of people.
FEW_ROWS = 10
T = TypeVar("T", bound="Optimizer")


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

    def index(self) -> Tensor:
        """Position of every row's cell in `counts().flatten()`, int64 [rows]."""
        return self.group * len(self.classes) + self.label

    def counts(self) -> Tensor:
        """Rows in each cell: int64 [groups, classes]."""
        shape = (len(self.groups), len(self.classes))
        return self.index().bincount(minlength=shape[0] * shape[1]).reshape(shape)

    def names(self) -> list[str]:
        """Name of every cell, in the order of `counts().flatten()`."""
        return [f"group '{group}' and label '{label}'" for group in self.groups for label in self.classes]

    def require_all(self, method: str) -> None:
        """Check that every cell has a row.

        Raises:
            DataError: one has none, so the method cannot make it count.
        """
        for name, rows in zip(self.names(), self.counts().flatten().tolist(), strict=True):
            if rows == 0:
                raise DataError(
                    f"no training row has {name}",
                    expected=f"at least one row in every (group, label) cell for debias method '{method}'",
                    fix="add such rows to the training split, or remove that attribute from the policy",
                )

    def few(self) -> list[tuple[str, int]]:
        """Cells with fewer than `FEW_ROWS` rows: name and rows."""
        found = zip(self.names(), self.counts().flatten().tolist(), strict=True)
        return [(name, rows) for name, rows in found if rows < FEW_ROWS]


@dataclass(frozen=True)
class Surroundings:
    """A network in one training step, to be asked at weights near its own.

    Attributes:
        parameters: those that are trained.
        logits: of the whole batch [batch, classes], at whatever the parameters are at the moment.
        gradients: of a scalar, with respect to the parameters.
    """

    parameters: Sequence[Parameter]
    logits: Callable[[], Tensor]
    gradients: Callable[[Tensor], list[Tensor]]


class Debias(Protocol):
    """One treatment. Each hook does nothing unless a subclass says otherwise.

    The loop calls `start` once, `load_state` where a run is resumed, `to` with the device of the steps, `row_weights`
    and `sampling_weights` before the first epoch, and in every step `augment`, `batch_weights`, `penalty`,
    `edit_gradients`, `look_around` and `end_step`, in that order; at last `to` with the CPU. `state` and `load_state`
    carry what the method learned across a resumed run.

    Attributes:
        sets_weights: it decides how much every cell counts; two such methods would correct twice.
        identify_epochs: epochs of ordinary training after which the method wants to know the rows that are decided
            wrongly (`learn_errors`); training then begins anew.
        search: numeric options worth a search, with the range on a logarithmic scale (`edgefair train --tune`).
        needs_reference: it compares with the model before compression (`learn_reference`), so it has no place in the
            training of that model.
        looks_around: it asks for the loss at other weights in every step (`look_around`).
        few_rows: what it does with a cell that has a handful of rows, for the report.
    """

    sets_weights: ClassVar[bool] = False
    needs_reference: ClassVar[bool] = False
    looks_around: ClassVar[bool] = False
    few_rows: ClassVar[str] = ""
    search: ClassVar[Mapping[str, tuple[float, float]]] = {}
    identify_epochs: int = 0

    def start(self, cells: Cells) -> None:  # noqa: ARG002
        """Learn what there is to train on; refuse what cannot work (DataError)."""
        return

    def learn_errors(self, wrong: Tensor) -> None:  # noqa: ARG002
        """Take which training rows the identification model decides wrongly, bool [rows]."""
        return

    def learn_reference(self, right: Tensor) -> None:  # noqa: ARG002
        """Take which training rows the model before compression decides rightly, bool [rows]; after `start`."""
        return

    def row_weights(self, cells: Cells) -> Tensor | None:  # noqa: ARG002
        """Weight of every row in the cross-entropy, float32 [rows] with mean 1, or None for equal weights."""
        return None

    def sampling_weights(self, cells: Cells) -> Tensor | None:  # noqa: ARG002
        """How often every row is drawn, float32 [rows], or None for once per epoch."""
        return None

    def augment(self, features: Tensor, label: Tensor, group: Tensor) -> Tensor:  # noqa: ARG002
        """The features of one batch [batch, ...] after the preprocessing, changed or not; labels stay."""
        return features

    def batch_weights(self, losses: Tensor, label: Tensor, group: Tensor) -> Tensor | None:  # noqa: ARG002
        """Weight of every row in its batch, float32 [batch], from the rows' losses (detached) [batch]."""
        return None

    def penalty(self, logits: Tensor, label: Tensor, group: Tensor) -> Tensor | None:  # noqa: ARG002
        """A scalar added to the loss of one batch (logits [batch, classes], label and group int64 [batch])."""
        return None

    def adversary_loss(self, logits: Tensor, label: Tensor, group: Tensor) -> Tensor | None:  # noqa: ARG002
        """A loss of its own, whose gradient with respect to the network `edit_gradients` will be given."""
        return None

    def edit_gradients(self, gradients: Sequence[Tensor], adversary: Sequence[Tensor]) -> None:  # noqa: ARG002
        """Change the gradients of the network's loss in place, given those of `adversary_loss`."""
        return

    def look_around(
        self,
        around: Surroundings,  # noqa: ARG002
        gradients: Sequence[Tensor],  # noqa: ARG002
        *,
        weights: Tensor,  # noqa: ARG002
        label: Tensor,  # noqa: ARG002
        group: Tensor,  # noqa: ARG002
    ) -> None:
        """Change the gradients in place by what the loss is at other weights; the weights are left as they were.

        Args:
            around: asks the network.
            gradients: of the step, one for every parameter.
            weights: of every row in the cross-entropy, float32 [batch].
            label, group: int64 [batch].
        """
        return

    def end_step(self) -> None:
        """Called after the optimizer has moved: the place for dual variables."""
        return

    def state(self) -> dict[str, Tensor]:
        """Tensors to store in a checkpoint."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:  # noqa: ARG002
        """Take back what `state` returned."""
        return

    def to(self, place: device) -> None:  # noqa: ARG002
        """Hold on a device what the hooks of a step compute with; whatever is of the rows stays on the CPU, as they."""
        return


def inverse_frequency(cells: Cells, *, power: float = 1.0) -> Tensor:
    """n(s, y) ** -power for every row's cell, float64 [rows]; power 1 gives every cell the same total."""
    counts = cells.counts().double().flatten()
    return counts.clamp(min=1.0)[cells.index()] ** -power


def mean_one(weights: Tensor) -> Tensor:
    """The weights as float32 with mean 1."""
    return (weights / weights.mean()).float()


def eager(kind: type[T]) -> type[T]:
    """An optimizer of torch that computes the same and does not load torch's compiler.

    Torch keeps `torch.compile` out of these methods by wrappers that import it first, and that takes as long as
    importing torch. No step is compiled here.
    """
    import torch

    wrapped = ("add_param_group", "zero_grad", "state_dict", "load_state_dict", "step")
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in wrapped}
    return cast("type[T]", type(kind.__name__, (kind,), {**plain, "step": torch.no_grad()(plain["step"])}))


def optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer as tensors, to store."""
    import torch

    return {
        f"optimizer.{index}.{name}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Take back what `optimizer_state` returned, each tensor to the device of its parameter."""
    content = optimizer.state_dict()
    numbers = [index for group in content["param_groups"] for index in group["params"]]
    optimizer.load_state_dict({**content, "state": {index: under(tensors, f"optimizer.{index}.") for index in numbers}})


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors of a stored state whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
