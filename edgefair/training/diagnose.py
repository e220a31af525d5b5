"""How the loss of some rows reacts to a small change of the weights, and whose labels look wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from edgefair.errors import ModelError

ITERATIONS = 20
# Relative change of the eigenvalue between two iterations at which it is taken as found.
TOLERANCE = 1e-3

# Graph inputs, each [batch, ...]; labels int64 [batch]; weights of the rows float32 [batch]. The weights of all batches
# add up to 1, so that weighted sums are means. A call starts the rows anew.
Batch = tuple[tuple[Tensor, ...], Tensor, Tensor]
Batches = Callable[[], Iterable[Batch]]

# Largest relative difference between u . H v and v . H u that rounding may make.
ASYMMETRY = 0.05
# How torch says that an operation can be differentiated once and not twice.
_ONCE_ONLY = ("is not implemented", "once_differentiable", "double backward", "does not require grad")


class NoSecondDerivativeError(Exception):
    """What was differentiated twice is not a Hessian."""


@dataclass(frozen=True)
class Sensitivity:
    """What a change of the weights may do to some rows, all means over these rows.

    Attributes:
        loss: cross-entropy, in nats.
        error_rate: share of the decisions that are wrong.
        margin: logit of the label minus the largest other one; below 0 where the label is not the largest.
        gradient_norm: Euclidean norm of the gradient of the mean loss with respect to the parameters.
        top_eigenvalue: largest eigenvalue of the Hessian of the mean loss; None where it was not found.
        why_none: why it was not.
    """

    loss: float
    error_rate: float
    margin: float
    gradient_norm: float
    top_eigenvalue: float | None
    why_none: str | None = None

    def loss_bound(self, distance: float) -> float | None:
        """|g| d + lambda d^2 / 2: the most that the mean loss grows, to second order, if the weights move by d.

        Theorem 1 of Tran et al., "Pruning has a disparate impact on model accuracy", NeurIPS 2022, without its
        remainder O(d^3). None where the eigenvalue was not found.

        Args:
            distance: d, Euclidean, in units of the weights.
        """
        if self.top_eigenvalue is None:
            return None
        return self.gradient_norm * distance + 0.5 * self.top_eigenvalue * distance**2


def measure_sensitivity(
    classifier: nn.Module,
    batches: Batches,
    *,
    threshold: float | None = None,
    seed: int = 0,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
    tick: Callable[[], None] = lambda: None,
) -> Sensitivity:
    """Loss, errors, margin, gradient and curvature of a classifier on some rows. The classifier is put in eval mode.

    Groups with larger gradients and eigenvalues, and nearer to the decision boundary, lose more by compression (Tran et
    al., NeurIPS 2022).

    Args:
        classifier: inputs -> logits [batch, classes], two classes or more.
        batches: the rows, at least one.
        threshold: two classes: decide class 1 where P(class 1) >= threshold; None decides the most probable.
        seed: draws where the power iteration starts.
        iterations: Hessian-vector products that it may take, twice as many where the first eigenvalue is negative.
        tolerance: relative change of the eigenvalue at which it ends.
        tick: called after the first pass over the rows and after each Hessian-vector product.

    Raises:
        ModelError: the loss is not finite.
    """
    classifier.eval()
    parameters = trainable(classifier)
    totals = torch.zeros(3, dtype=torch.float64)
    gradient = torch.zeros(sum(item.numel() for item in parameters))
    for inputs, label, weight in batches():
        logits = classifier(*inputs)
        losses = functional.cross_entropy(logits, label, reduction="none")
        gradient += _flat(torch.autograd.grad(losses @ weight, parameters, materialize_grads=True))
        with torch.no_grad():
            wrong = _decisions(logits, threshold) != label
            totals += torch.stack([losses, wrong.float(), margins(logits, label)]).double() @ weight.double()
    if not torch.isfinite(totals).all() or not torch.isfinite(gradient).all():
        raise ModelError(
            "the loss of the model or its gradient is not finite", fix="retrain it with a lower learning rate"
        )
    tick()
    eigenvalue, why = _curvature(classifier, parameters, batches, seed, iterations, tolerance, tick)
    loss, errors, margin = totals.tolist()
    return Sensitivity(loss, errors, margin, float(gradient.double().norm()), eigenvalue, why)


def trainable(classifier: nn.Module) -> list[nn.Parameter]:
    """The parameters that training changes."""
    return [item for item in classifier.parameters() if item.requires_grad]


def weight_norm(classifier: nn.Module) -> float:
    """Euclidean norm of all trainable parameters together."""
    return float(_flat([item.detach() for item in trainable(classifier)]).double().norm())


def margins(logits: Tensor, label: Tensor) -> Tensor:
    """z[label] - max of the other logits, float [rows]: [rows, classes] and int64 [rows], two classes or more."""
    own = logits.gather(1, label[:, None])[:, 0]
    others = logits.scatter(1, label[:, None], -torch.inf)
    return own - others.amax(dim=1)


def confidently_other(probability: Tensor, label: Tensor) -> Tensor:
    """Whether the model is confident that a row's label is another one than the given one, bool [rows].

    t_j is the mean of P(class j) among the rows with label j. A row counts as class j = argmax of P among the classes
    with P(class j) >= t_j; it is counted here where that is not its label. Confident learning: Northcutt, Jiang and
    Chuang, JAIR 2021, equation 1.

    Args:
        probability: float [rows, classes], from a model that was not trained on these rows.
        label: int64 [rows]. A class that no row has is never confident.
    """
    likely = confident_class(probability, label, torch.zeros_like(label))
    return (likely >= 0) & (likely != label)


def confident_class(probability: Tensor, label: Tensor, group: Tensor) -> Tensor:
    """The class that the model is confident of by the thresholds of the row's group, -1 for none: int64 [rows].

    As `confidently_other`, with a t_j of every group, from its rows alone.

    Args:
        group: int64 [rows].
    """
    found = torch.full_like(label, -1)
    for one in range(len(group.bincount())):
        mine = group == one
        p = probability[mine]
        members = functional.one_hot(label[mine], p.shape[1]).to(p.dtype)
        least = (p * members).sum(0) / members.sum(0)
        confident = torch.where(p >= least, p, -1.0)
        found[mine] = torch.where(confident.amax(1) >= 0, confident.argmax(1), -1)
    return found


def top_eigenvalue(
    product: Callable[[Tensor], Tensor],
    size: int,
    *,
    seed: int = 0,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
) -> float | None:
    """Largest eigenvalue of a symmetric matrix H by power iteration; None where it did not converge.

    Power iteration finds the eigenvalue of largest magnitude. Where that is negative, it is repeated on H - lambda I,
    whose eigenvalues are not negative.

    Args:
        product: v -> H v, both float32 [size].

    Raises:
        NoSecondDerivativeError: the products are not those of a symmetric matrix.
    """
    extreme = _power(product, size, seed, iterations, tolerance)
    if extreme is None or extreme >= 0:
        return extreme
    shifted = _power(lambda v: product(v) - extreme * v, size, seed + 1, iterations, tolerance)
    return None if shifted is None else shifted + extreme


def _power(
    product: Callable[[Tensor], Tensor], size: int, seed: int, iterations: int, tolerance: float
) -> float | None:
    v = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    v /= v.norm()
    start, length = v, 0.0
    before: float | None = None
    for step in range(iterations):
        image = product(v)
        # Here v = H start / |H start|: start . H v = |H start|, unless a part of the second derivative is missing.
        if step == 1 and abs(float(start @ image) - length) > ASYMMETRY * length + 1e-5 * float(image.norm()):
            raise NoSecondDerivativeError("the products with the Hessian are not symmetric")
        value, length = float(v.double() @ image.double()), float(image.norm())
        if length == 0.0:
            return 0.0
        if before is not None and abs(value - before) <= tolerance * abs(value):
            return value
        before, v = value, image / length
    return None


def _curvature(
    classifier: nn.Module,
    parameters: list[nn.Parameter],
    batches: Batches,
    seed: int,
    iterations: int,
    tolerance: float,
    tick: Callable[[], None],
) -> tuple[float | None, str | None]:
    """Top eigenvalue of the Hessian of the mean loss, or why there is none."""

    def product(v: Tensor) -> Tensor:
        """H v = d(g . v) / d(parameters), float32 [parameters]."""
        total = torch.zeros_like(v)
        for inputs, label, weight in batches():
            loss = functional.cross_entropy(classifier(*inputs), label, reduction="none") @ weight
            gradient = _flat(torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True))
            if _breaks_off(gradient):
                raise NoSecondDerivativeError("an operation in it can be differentiated only once")
            second = torch.autograd.grad(gradient @ v, parameters, allow_unused=True)
            if all(item is None for item in second):
                raise NoSecondDerivativeError("its gradient does not depend on its parameters")
            total += _flat(
                torch.zeros_like(p) if item is None else item for p, item in zip(parameters, second, strict=True)
            )
        tick()
        return total

    size = sum(item.numel() for item in parameters)
    try:
        # The fused kernels of attention have no second derivative.
        with sdpa_kernel(SDPBackend.MATH):
            value = top_eigenvalue(product, size, seed=seed, iterations=iterations, tolerance=tolerance)
    except (RuntimeError, NoSecondDerivativeError) as error:
        if isinstance(error, RuntimeError) and not any(text in str(error) for text in _ONCE_ONLY):
            raise
        return None, f"the network has no second derivative: {str(error).splitlines()[0]}"
    return value, f"no eigenvalue after {iterations} iterations" if value is None else None


def _breaks_off(value: Tensor) -> bool:
    """Whether a part of the graph behind a value is cut: torch leaves that part's derivatives out and says nothing."""
    seen: set[Any] = set()
    ahead: list[Any] = [value.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        if node.name() == "torch::autograd::Error":
            return True
        seen.add(node)
        ahead += [before for before, _ in node.next_functions]
    return False


def _decisions(logits: Tensor, threshold: float | None) -> Tensor:
    if threshold is None:
        return logits.argmax(dim=1)
    return (logits.softmax(dim=1)[:, 1] >= threshold).long()


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([item.reshape(-1) for item in tensors])
