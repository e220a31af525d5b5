"""Adversarial debiasing for equalized odds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from edgefair.debias.base import Cells, Debias, eager, load_optimizer, optimizer_state, under
from edgefair.errors import DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor, device

RAMP_STEPS = 100
Target = Literal["equalized-odds", "parity"]


class Adversarial(Debias):
    """An adversary guesses the group s from the prediction and the label; the network learns to leave it clueless.

    form `projection` (Zhang, Lemoine & Mitchell, "Mitigating unwanted biases with adversarial learning", AIES 2018,
    eq. 1): with g the gradient of the network's loss and h that of the adversary's, the network moves along
    g - proj_h g - alpha h. form `reversal` (Ganin et al., JMLR 2016): g - alpha h.

    target `equalized-odds`: the adversary reads P(class) for each label on its own input (the label y is given), so
    that what it may not learn is a dependence of prediction and group within a label. `parity`: it reads P(class)
    alone, so that predictions must not depend on the group at all, even where labels do (disparate impact). Its loss
    counts every group (of a label) alike; otherwise it would be content to guess the majority. alpha rises over the
    first 100 steps.
    """

    search: ClassVar[Mapping[str, tuple[float, float]]] = {"alpha": (0.1, 10.0)}
    few_rows = "the adversary's loss weighs it like the other groups of its label, with very few examples"

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        form: Literal["projection", "reversal"] = "projection",
        hidden: int = 32,
        learning_rate: float = 0.01,
        steps: int = 1,
        target: Target = "equalized-odds",
    ) -> None:
        if alpha < 0:
            raise UsageError(f"adversarial: alpha is {alpha}", expected="0 or more")
        if form not in {"projection", "reversal"}:
            raise UsageError(f"adversarial: form is '{form}'", expected="projection or reversal")
        if target not in get_args(Target):
            raise UsageError(f"adversarial: target is '{target}'", expected=" or ".join(get_args(Target)))
        if hidden < 1 or steps < 1 or learning_rate <= 0:
            raise UsageError("adversarial: hidden, steps and learning_rate must be positive")
        self.alpha = alpha
        self.form = form
        self.hidden = hidden
        self.learning_rate = learning_rate
        self.steps = steps
        self.target = target
        self._done = 0
        self._classes = 0

    def start(self, cells: Cells) -> None:
        """Make an untrained adversary.

        Raises:
            DataError: one group only: there is nothing to guess.
        """
        import torch

        if len(cells.groups) < 2:
            raise DataError(
                f"every training row has group '{cells.groups[0]}'",
                expected="at least two groups for debias method 'adversarial'",
            )
        counts = cells.counts().double()
        if self.target == "parity":
            counts = counts.sum(dim=1, keepdim=True).expand_as(counts)
        present = (counts > 0).sum(dim=0).clamp(min=1)
        self._weights = (counts.sum(dim=0) / (present * counts.clamp(min=1.0))).float()
        self._classes = len(cells.classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._net = torch.nn.Sequential(
                torch.nn.Linear(self._classes * (1 if self.target == "parity" else self._classes + 1), self.hidden),
                torch.nn.ReLU(),
                torch.nn.Linear(self.hidden, len(cells.groups)),
            )
        self._optimizer = eager(torch.optim.Adam)(self._net.parameters(), lr=self.learning_rate, foreach=False)

    def adversary_loss(self, logits: Tensor, label: Tensor, group: Tensor) -> Tensor:
        """Train the adversary on this batch, then give its loss as a function of the logits: a scalar."""
        for _ in range(self.steps):
            own = self._loss(logits.detach(), label, group)
            self._optimizer.zero_grad(set_to_none=True)
            own.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        return self._loss(logits, label, group)

    def edit_gradients(self, gradients: Sequence[Tensor], adversary: Sequence[Tensor]) -> None:
        """g <- g - proj_h g - alpha h, over all parameters as one vector."""
        import torch

        # All at once to the host: a GPU would stand still for each.
        square = sum(torch.stack([(h * h).sum() for h in adversary]).tolist())
        inner = sum(torch.stack([(g * h).sum() for g, h in zip(gradients, adversary, strict=True)]).tolist())
        along = inner / square if self.form == "projection" and square > 0 else 0.0
        alpha = self.alpha * min(1.0, (self._done + 1) / RAMP_STEPS)
        for g, h in zip(gradients, adversary, strict=True):
            g.sub_(h, alpha=along + alpha)

    def end_step(self) -> None:
        """Count the step."""
        self._done += 1

    def state(self) -> dict[str, Tensor]:
        """The adversary, its optimizer and the number of steps."""
        import torch

        net = {f"net.{name}": value for name, value in self._net.state_dict().items()}
        return {**net, **optimizer_state(self._optimizer), "done": torch.tensor(self._done)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a stored adversary."""
        if not state:
            return
        self._done = int(state["done"])
        self._net.load_state_dict(under(state, "net."))
        load_optimizer(self._optimizer, state)

    def to(self, place: device) -> None:
        """Move the adversary, with its optimizer."""
        learned = optimizer_state(self._optimizer)
        self._net.to(place)
        self._weights = self._weights.to(place)
        load_optimizer(self._optimizer, learned)

    def _loss(self, logits: Tensor, label: Tensor, group: Tensor) -> Tensor:
        import torch
        from torch.nn import functional

        seen = logits.softmax(dim=1)
        if self.target == "equalized-odds":
            of_label = functional.one_hot(label, self._classes).to(logits.dtype)
            seen = torch.cat([of_label, (of_label[:, :, None] * seen[:, None, :]).flatten(1)], dim=1)
        guess = self._net(seen)
        weights = self._weights[group, label]
        return (functional.cross_entropy(guess, group, reduction="none") * weights).mean()
