"""Distillation: a student is trained on labels and on what a teacher makes of the same rows."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefair.debias import Cells
from edgefair.debias.group_dro import GroupDro
from edgefair.errors import ModelError, UsageError
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.training.classifier import Classifier
from edgefair.training.engine import Engine
from edgefair.training.penultimate import last_linear, penultimate


def check_teacher(teacher: ModelSpec, student: ModelSpec) -> None:
    """Refuse a teacher that cannot be asked about the student's rows.

    Raises:
        ModelError: other classes, or in another order; other graph inputs.
    """
    if teacher.classes != student.classes:
        raise ModelError(
            f"the teacher's classes are {', '.join(teacher.classes)}",
            expected=f"the student's, in their order: {', '.join(student.classes)}",
            fix="train the teacher on the same labels",
        )
    others = {item.name: item for item in teacher.inputs}
    for item in student.inputs:
        if others.get(item.name) != item:
            raise ModelError(
                f"the teacher reads input '{item.name}' differently, or not at all",
                expected="the same features, vocabularies, picture size and tokenizer as the student's",
                fix="train the teacher on the same data section",
            )
    if len(others) > len(student.inputs):
        extra = sorted(set(others) - {item.name for item in student.inputs})
        raise ModelError(f"the teacher also reads input '{extra[0]}'", expected="the student's inputs and no others")


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(t / T) || softmax(s / T)), mean over the rows: a scalar, 0 for equal logits.

    T^2 keeps the size of its gradient beside the cross-entropy's (Hinton, Vinyals and Dean, "Distilling the knowledge
    in a neural network", 2015).

    Args:
        student: s, logits [rows, classes].
        teacher: t, logits [rows, classes].
        temperature: T > 0.
    """
    return soft_losses(student, teacher, temperature).mean()


def soft_losses(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`soft_loss` of every row, float32 [rows]."""
    target = functional.log_softmax(teacher / temperature, dim=1)
    found = functional.log_softmax(student / temperature, dim=1)
    divergence: Tensor = functional.kl_div(found, target, reduction="none", log_target=True).sum(dim=1)
    return temperature**2 * divergence


def feature_loss(student: Tensor, teacher: Tensor, label: Tensor, group: Tensor) -> Tensor:
    """sum_{y,a} MMD^2(f_T(x | y), f_S(x | y, a)): a scalar, 0 or more.

    MMD^2(P, Q) = E k(p, p') - 2 E k(p, q) + E k(q, q') with k(u, v) = exp(-|u - v|^2 / s), s the mean of |u - v|^2 over
    all pairs of a teacher's and a student's row. Every group of a label is drawn to what the teacher makes of all rows
    of that label. A cell without rows in the batch adds nothing. Jung et al., "Fair feature distillation for visual
    recognition", CVPR 2021.

    Args:
        student: features f_S [rows, width].
        teacher: features f_T [rows, width].
        label: int64 [rows].
        group: int64 [rows].
    """
    between = _squares(teacher, student)
    scale = between.detach().mean().clamp(min=1e-12)
    within_teacher, within_student, across = (
        torch.exp(-item / scale) for item in (_squares(teacher, teacher), _squares(student, student), between)
    )
    cells, cell = torch.unique(torch.stack([label, group]), dim=1, return_inverse=True)
    # Columns of shares: of the rows of a present cell [rows, cells], and of the rows of its label.
    q = functional.one_hot(cell, cells.shape[1]).to(student.dtype)
    p = (label[:, None] == cells[0][None, :]).to(student.dtype)
    q, p = q / q.sum(0), p / p.sum(0)
    mmd: Tensor = (p * (within_teacher @ p) - 2 * p * (across @ q) + q * (within_student @ q)).sum(0)
    return mmd.clamp(min=0.0).sum()


def _squares(u: Tensor, v: Tensor) -> Tensor:
    """|u_i - v_j|^2, [rows of u, rows of v]; unlike a distance it has a gradient at 0."""
    return (u.square().sum(1)[:, None] + v.square().sum(1)[None, :] - 2 * u @ v.T).clamp(min=0.0)


@dataclass(frozen=True)
class Lesson:
    """What a teacher says about one batch, whole.

    Attributes:
        weight: share of the soft labels in the loss.
        temperature: softens both sides' probabilities.
        logits: the teacher's, [batch, classes].
        feature_weight: weight of `feature_loss`.
        features: the student's and the teacher's [batch, width]; None where only soft labels are taught, or where
            the widths differ: then the logits take their place.
        robust: weighs the rows by how badly the student follows the teacher in their cell; None for equal weights.
    """

    weight: float
    temperature: float
    logits: Tensor
    feature_weight: float
    features: tuple[Tensor, Tensor] | None
    robust: GroupDro | None = None

    def loss(self, entropy: Tensor, logits: Tensor, label: Tensor, group: Tensor) -> Tensor:
        """(1 - w) CE + w T^2 KL + lambda sum MMD^2: a scalar. Where it is robust, KL is sum_c q_c KL_c over cells c.

        Args:
            entropy: CE, the (weighted) cross-entropy of the student, a scalar.
            logits: the student's, [batch, classes].
            label: int64 [batch].
            group: int64 [batch].
        """
        soft = soft_losses(logits, self.logits, self.temperature)
        if self.robust is not None:
            soft = soft * self.robust.batch_weights(soft.detach(), label, group)
        loss = (1 - self.weight) * entropy + self.weight * soft.mean()
        if self.feature_weight:
            student, teacher = self.features or (logits, self.logits)
            loss = loss + self.feature_weight * feature_loss(student, teacher, label, group)
        return loss


class Distill:
    """A teacher in a training loop.

    The terms are computed on whole batches: with several processes the student's features and the teacher's answers are
    gathered as the logits are. The rows' weights that debias methods give count in the cross-entropy alone. Raising the
    temperature helps the student's equalized odds up to a point (Mohammadshahi and Ioannou, TMLR 2025).

    Args:
        teacher: put in eval mode; its weights stay.
        temperature: T of the soft labels.
        weight: w, share of the soft labels in the loss; the cross-entropy has the rest.
        mfd_weight: lambda of `feature_loss` on what the last linear layers read (the paper: 3 to 7); 0 teaches soft
            labels alone. Where teacher and student are of different width there, their logits are compared instead.

    Raises:
        UsageError: an option out of range.
    """

    def __init__(
        self,
        teacher: Classifier,
        *,
        temperature: float = 4.0,
        weight: float = 0.5,
        mfd_weight: float = 0.0,
        dro_eta: float = 0.0,
    ) -> None:
        if temperature <= 0:
            raise UsageError(f"distill: temperature is {temperature}", expected="above 0")
        if not 0 <= weight <= 1:
            raise UsageError(f"distill: weight is {weight}", expected="from 0 to 1: the share of the soft labels")
        if mfd_weight < 0:
            raise UsageError(f"distill: mfd_weight is {mfd_weight}", expected="0 or more")
        self.teacher = teacher.eval()
        self.temperature = temperature
        self.weight = weight
        self.mfd_weight = mfd_weight
        self._robust = GroupDro(eta=dro_eta) if dro_eta else None

    def start(self, student: Classifier, cells: Cells) -> None:
        """Get ready to teach this student these rows.

        Raises:
            ModelError: features are to be compared, and one of the two has no linear layer that reads them.
            DataError: a cell without rows, where cells are weighed.
        """
        if self._robust is not None:
            self._robust.start(cells)
        self._same_view = _equal(self.teacher.preprocess, student.preprocess)
        self._features = bool(self.mfd_weight) and (
            last_linear(self.teacher.network).in_features == last_linear(student.network).in_features
        )

    def lesson(
        self, student: nn.Module, features: Tensor, inputs: tuple[Tensor, ...], engine: Engine
    ) -> tuple[Tensor, Lesson]:
        """The student's logits of this process's part of a batch, and the lesson of the whole batch.

        Args:
            student: the network, features -> logits.
            features: the part after preprocessing and augmentation. The teacher sees it too where it preprocesses like
                the student; otherwise it sees the inputs as its own preprocessing makes them, not augmented.
            inputs: the part as graph inputs.
        """
        with self._watch(student) as seen:
            logits = student(features)
        with torch.no_grad(), self._watch(self.teacher.network) as told:
            answer = self.teacher.network(features) if self._same_view else self.teacher(*inputs)
        both = None
        if self._features:
            both = engine.whole(_rows(seen, logits).float()), engine.whole(_rows(told, answer).float())
        whole = engine.whole(answer.float())
        return logits, Lesson(self.weight, self.temperature, whole, self.mfd_weight, both, self._robust)

    @property
    def watches(self) -> bool:
        """Whether it looks at a layer of the student."""
        return self._features

    def state(self) -> dict[str, Tensor]:
        """Weights of the cells, where there are any."""
        return {} if self._robust is None else self._robust.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from stored weights of the cells."""
        if self._robust is not None:
            self._robust.load_state(state)

    def to(self, device: torch.device) -> None:
        """Compute the weights of the cells on a device; the loop moves the teacher."""
        if self._robust is not None:
            self._robust.to(device)

    def _watch(self, network: nn.Module) -> AbstractContextManager[list[Tensor]]:
        return penultimate(network) if self._features else nullcontext([])


def _rows(seen: list[Tensor], logits: Tensor) -> Tensor:
    """Features of one pass, [rows, width].

    Raises:
        ModelError: the last linear layer does not read one vector per row.
    """
    if len(seen) != 1 or seen[0].dim() != 2 or len(seen[0]) != len(logits):
        shape = list(seen[0].shape) if seen else "nothing"
        raise ModelError(
            f"the last linear layer reads {shape} in {len(seen)} calls for {len(logits)} rows",
            expected="one vector per row, to compare the features of teacher and student",
            fix="distill soft labels only (distill method kd)",
        )
    return seen[0]


def _equal(a: nn.Module, b: nn.Module) -> bool:
    one, other = a.state_dict(), b.state_dict()
    return one.keys() == other.keys() and all(
        torch.equal(value.cpu(), other[name].cpu()) for name, value in one.items()
    )
