"""Structured pruning: whole channels and attention heads are removed, so the file shrinks and the latency falls.

`units` finds what must leave together, an importance (one file each, listed in `compress.config.IMPORTANCES`) scores
it, `choose` decides how much of each unit stays, and `cut` removes the rest.
"""

from __future__ import annotations

import functools
import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgefair.compress.config import Scope
from edgefair.compress.names import IMPORTANCES
from edgefair.errors import UsageError, check_options

if TYPE_CHECKING:
    from torch import Tensor

    from edgefair.compress.steps.base import Context
    from edgefair.compress.steps.pruning.units import Unit
    from edgefair.training.classifier import Classifier


@dataclass(frozen=True)
class Goal:
    """What is done with the scores.

    Attributes:
        scope: whether atoms are compared within a unit or across all.
        budget: share of the cost that is left in the end.
        round_to: as in `Prune`.
    """

    scope: Scope
    budget: float
    round_to: int


class Importance(Protocol):
    """What every atom of every unit is worth, float64 [atoms] per unit; the least leave first.

    Options of its own are keyword arguments with defaults. Weights stay as they are unless it says otherwise.

    Raises:
        DataError: rows that the scores cannot be based on.
        ModelError: a gradient that is not finite.
    """

    def __call__(self, classifier: Classifier, units: Sequence[Unit], context: Context, goal: Goal, /) -> list[Tensor]:
        """The scores."""
        ...


def open_importance(name: str, options: Mapping[str, Any]) -> Importance:
    """The importance called `name`, with its options.

    Raises:
        UsageError: an unknown one, or an option that it does not have.
    """
    if name not in IMPORTANCES:
        raise UsageError(f"prune importance is '{name}'", expected=f"one of {', '.join(IMPORTANCES)}")
    importance = pkgutil.resolve_name(IMPORTANCES[name])
    known = [item.name for item in inspect.signature(importance).parameters.values() if item.kind is item.KEYWORD_ONLY]
    check_options(f"importance {name}", options, known)
    return functools.partial(importance, **options)
