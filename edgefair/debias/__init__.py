"""Debiasing methods by name. The tables are data: listing them imports nothing.

One file per method. A method changes weights of rows, batches, losses, the last layer or the threshold; it never sees
audit rows.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from edgefair.debias.base import Cells, Debias
from edgefair.debias.post import PostMethod
from edgefair.errors import UsageError, check_options, did_you_mean

METHODS: Mapping[str, str] = {
    "reweigh": "edgefair.debias.reweigh:Reweigh",
    "balance": "edgefair.debias.balance:Balance",
    "augment": "edgefair.debias.augment:Augment",
    "weighted-loss": "edgefair.debias.weighted_loss:WeightedLoss",
    "eo-penalty": "edgefair.debias.eo_penalty:EoPenalty",
    "adversarial": "edgefair.debias.adversarial:Adversarial",
    "group-dro": "edgefair.debias.group_dro:GroupDro",
    "jtt": "edgefair.debias.jtt:Jtt",
    "group-sam": "edgefair.debias.group_sam:GroupSam",
    "excess-loss": "edgefair.debias.excess_loss:ExcessLoss",
}
# After compression: applied to the file, see edgefair.debias.post.
POST_METHODS: Mapping[str, str] = {
    "last-layer": "edgefair.debias.last_layer:LastLayer",
    "threshold": "edgefair.debias.threshold:Threshold",
}


def open_method(name: str, options: Mapping[str, Any]) -> Debias:
    """The method of the training stages called `name`, with its options.

    Raises:
        UsageError: an unknown method, one of another stage, or an option that the method does not have.
    """
    opened: Debias = _open(name, options, METHODS, POST_METHODS, "works on the exported file: list it in debias.post")
    return opened


def open_methods(items: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Debias]:
    """Several methods that are used together.

    Raises:
        UsageError: see `open_method`; two methods that both reweight the cells, or one named twice.
    """
    names = [name for name, _ in items]
    methods = [open_method(name, options) for name, options in items]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"debias method '{twice}' is listed twice")
    weighing = [name for name, method in zip(names, methods, strict=True) if method.sets_weights]
    if len(weighing) > 1:
        raise UsageError(
            f"debias methods '{weighing[0]}' and '{weighing[1]}' both reweight the cells",
            expected="at most one of them: together they would overcorrect",
            fix=f"keep one; eo-penalty and adversarial go with either ({weighing[0]} + eo-penalty, for example)",
        )
    return methods


def open_post_method(name: str, options: Mapping[str, Any]) -> PostMethod:
    """The method of the stage after compression called `name`, with its options.

    Raises:
        UsageError: an unknown method, one of another stage, or an option that the method does not have.
    """
    opened: PostMethod = _open(
        name, options, POST_METHODS, METHODS, "works during training: list it in debias.train or debias.finetune"
    )
    return opened


def _open(
    name: str, options: Mapping[str, Any], table: Mapping[str, str], others: Mapping[str, str], where: str
) -> Any:
    if name in others:
        raise UsageError(f"debias method '{name}' {where}", expected=f"one of {', '.join(table)}")
    if name not in table:
        raise UsageError(
            f"unknown debias method '{name}'{did_you_mean(name, [*table, *others])}",
            expected=f"one of {', '.join(table)}",
        )
    method = pkgutil.resolve_name(table[name])
    known = list(inspect.signature(method).parameters)
    check_options(f"debias method '{name}'", options, known, expected=f"options of '{name}': {', '.join(known)}")
    return method(**options)


__all__ = [
    "METHODS",
    "POST_METHODS",
    "Cells",
    "Debias",
    "PostMethod",
    "open_method",
    "open_methods",
    "open_post_method",
]
