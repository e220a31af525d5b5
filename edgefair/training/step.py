"""One training step: weighted cross-entropy, and what a teacher and the debiasing methods add to it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefair.debias import Debias
from edgefair.debias.base import Surroundings
from edgefair.training.distill import Lesson
from edgefair.training.engine import Engine


def set_gradients(
    network: Sequence[nn.Parameter],
    logits: Tensor,
    *,
    label: Tensor,
    group: Tensor,
    weights: Tensor | None,
    methods: Sequence[Debias],
    engine: Engine,
    scaled: Callable[[Tensor], Tensor] = lambda loss: loss,
    lesson: Lesson | None = None,
    again: Callable[[], Tensor] | None = None,
) -> Tensor:
    """Put the gradients of one batch into the parameters' `grad`; the weighted cross-entropy, without penalties.

    It is a scalar without a graph, and nobody has waited for it: a GPU may still be computing it.

    Args:
        network: the parameters that are trained.
        logits: of the whole batch [batch, classes], with the graph of this process's part.
        label: int64 [batch].
        group: int64 [batch].
        weights: of every row, float32 [batch]; None for 1 each.
        scaled: makes a loss the one whose gradients are taken, which are larger by one factor.
        lesson: what a teacher says about the whole batch.
        again: the logits of the whole batch at whatever the parameters are then, for methods that look around.

    More than eight parameters: a step's rows, part by part, and who has a say in it.
    """
    losses = functional.cross_entropy(logits, label, reduction="none")
    for method in methods:
        own = method.batch_weights(losses.detach(), label, group)
        if own is not None:
            weights = own if weights is None else weights * own
    entropy = (losses if weights is None else losses * weights).mean()
    penalties = [method.penalty(logits, label, group) for method in methods]
    taught = entropy if lesson is None else lesson.loss(entropy, logits, label, group)
    loss = sum((item for item in penalties if item is not None), start=taught)
    adversaries = [(method, method.adversary_loss(logits, label, group)) for method in methods]
    against = [(method, adversary) for method, adversary in adversaries if adversary is not None]
    # Whoever differentiates the graph last lets go of it piece by piece, so that memory is used again while it is hot.
    differentiate = functools.partial(_gradients, network=network, engine=engine, scaled=scaled)
    gradients = differentiate(loss, keep=bool(against))
    for done, (method, adversary) in enumerate(against, start=1):
        method.edit_gradients(gradients, differentiate(adversary, keep=done < len(against)))
    for method in methods:
        if method.looks_around and again is not None:
            method.look_around(
                Surroundings(network, again, differentiate),
                gradients,
                weights=torch.ones_like(losses) if weights is None else weights,
                label=label,
                group=group,
            )
    for parameter, gradient in zip(network, gradients, strict=True):
        # Fused optimizers want both to lie in memory alike; layouts of pictures change those of gradients.
        alike = gradient.stride() == parameter.stride()
        parameter.grad = gradient if alike else torch.empty_like(parameter).copy_(gradient)
    return entropy.detach()


def _gradients(
    loss: Tensor,
    network: Sequence[nn.Parameter],
    engine: Engine,
    *,
    scaled: Callable[[Tensor], Tensor],
    keep: bool = True,
) -> list[Tensor]:
    found = torch.autograd.grad(scaled(loss), network, retain_graph=keep, allow_unused=True)
    gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(network, found, strict=True)]
    engine.sum(gradients)
    return gradients
