"""What a compression of the torch network is: decided first, then carried out from the decision alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from edgefair.progress import Progress

if TYPE_CHECKING:
    import onnx

    from edgefair.compress.config import CompressConfig
    from edgefair.compress.quantization.recipe import CalibrationRecipe
    from edgefair.training.classifier import Classifier
    from edgefair.training.rows import TrainingRows
    from edgefair.training.settings import TrainConfig, TrainPlan

# What a step decided: plain JSON types, from which it can be carried out again on an equal network. Whatever the step,
# `before` and `after` are costs by name (macs, parameters, latency), and `cut` is too long for a manifest.
Plan = dict[str, Any]
# Layers that a note names at most.
NAMED = 5


@dataclass(frozen=True)
class Context:
    """What a step may look at.

    Attributes:
        rows: training rows with label and sensitive group; batches are graph inputs, before the preprocessing.
        seed: for whatever is drawn.
        latency_ms: median milliseconds of one query of a network on the first target; None where its clock says
            nothing.
        original: what the network cost before the first step that counts costs, by name; empty for that step.
        exported: the prepared graph of a network; None where nothing will be exported.
    """

    rows: TrainingRows
    seed: int
    progress: Progress
    latency_ms: Callable[[Classifier], float] | None = None
    original: Mapping[str, float] = field(default_factory=dict)
    exported: Callable[[Classifier], onnx.ModelProto] | None = None


@dataclass(frozen=True)
class Learned:
    """The range of what one layer reads, after training.

    Attributes:
        low: smallest value that has a code, unless it is above 0.
        high: largest one, unless it is below 0.
        weight: SHA-256 of the layer's weight, by which it is found where an exporter has renamed it.
    """

    low: float
    high: float
    weight: str


@dataclass(frozen=True)
class Project:
    """What a step may know of the project, beside the keys of `compress:`.

    Attributes:
        finetune: the training after a step.
        target: the first target by name.
        has_clock: whether that target measures latency.
        recipe: reads the calibration recipe (UsageError: there is none, or it cannot be read).
        reduce_range: whether INT8 weights will have 7 bits.
    """

    finetune: TrainPlan
    target: str
    has_clock: bool
    recipe: Callable[[], CalibrationRecipe]
    reduce_range: bool


@dataclass(frozen=True, eq=False)
class Stage:
    """One step and the training after it.

    Attributes:
        settings: everything that decides the step, JSON.
        step: None for a student, which is another network.
        train: None where the weights stay as they are.
        taught: whether the teacher takes part in the training.
        fresh: whether it begins with the network's random weights instead of the trained ones.
        goes_on: whether the same step follows again, and its note tells of both.
    """

    name: str
    settings: dict[str, Any]
    step: Step | None
    train: TrainConfig | None
    taught: bool = False
    fresh: bool = False
    goes_on: bool = False


class Step(Protocol):
    """One compression of the torch network, followed by a fine-tune; see `compress.config.STEPS`.

    The plan is stored beside the weights, so an interrupted run goes on, and a finished one is loaded, without deciding
    again: `apply(plan)` on the network that the step began with gives the structure that the weights fit.

    In order: `from_config`, `check`, `plan`, `apply`, training, `finish`, `describe`.
    """

    @classmethod
    def from_config(cls, compress: CompressConfig, project: Project) -> Iterator[Stage]:
        """The stages that a recipe asks for, none or several.

        Raises:
            UsageError: the project cannot have such a stage.
        """
        ...

    def check(self, classifier: Classifier) -> None:
        """Refuse what cannot work, before anything is trained.

        Raises:
            ModelError, UsageError: this network cannot be compressed like that.
        """
        ...

    def check_weights(self, classifier: Classifier) -> None:  # noqa: ARG002
        """Refuse what the very weights tell that the step begins with; asked where no other stage comes before.

        Raises:
            ModelError: this network cannot be compressed like that.
        """
        return

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

    def finish(self, classifier: Classifier) -> dict[str, Learned]:  # noqa: ARG002
        """Make layers that were trained in another form plain again, in place.

        Returns:
            Ranges that were learned, by the name that the layer's weight has in an exported graph.
        """
        return {}

    def describe(self, plan: Mapping[str, Any], original: Mapping[str, float]) -> tuple[str, ...]:
        """The words of the note: what was done, and what else a reader must know.

        Args:
            original: as in `Context`, after this step's plan.
        """
        ...


def named(layers: list[str]) -> str:
    """The first layers by name, and how many more there are."""
    return ", ".join(layers[:NAMED]) + f" and {len(layers) - NAMED} more" * (len(layers) > NAMED)
