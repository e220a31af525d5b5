"""What a compression of the torch network is: decided first, then carried out from the decision alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgefair.progress import Progress

if TYPE_CHECKING:
    from edgefair.training.classifier import Classifier
    from edgefair.training.loop import TrainingRows

# What a step decided: plain JSON types, from which it can be carried out again on an equal network.
Plan = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """What a step may look at.

    Attributes:
        rows: training rows with label and sensitive group; batches are graph inputs, before the preprocessing.
        seed: for whatever is drawn.
        latency_ms: median milliseconds of one query of a network on the first target; None where its clock says
            nothing.
    """

    rows: TrainingRows
    seed: int
    progress: Progress
    latency_ms: Callable[[Classifier], float] | None = None


class Step(Protocol):
    """One compression of the torch network, followed by a fine-tune.

    The plan is stored beside the weights, so an interrupted run goes on, and a finished one is loaded, without deciding
    again: `apply(plan)` on the network that the step began with gives the structure that the weights fit.
    """

    def check(self, classifier: Classifier) -> None:
        """Refuse what cannot work, before anything is trained.

        Raises:
            ModelError, UsageError: this network cannot be compressed like that.
        """
        ...

    def plan(self, classifier: Classifier, context: Context) -> Plan:
        """Decide. Weights may change in place, the structure may not.

        Raises:
            ModelError: this network cannot be compressed, or not that far.
            DataError: rows that the decision cannot be based on.
        """
        ...

    def apply(self, classifier: Classifier, plan: Mapping[str, Any]) -> None:
        """Change the structure of `classifier.network` in place, as the plan says."""
        ...
