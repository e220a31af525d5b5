"""The rows that INT8 is calibrated on: of training, or of a file of one's own."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.analysis.scores import scores
from edgefair.compress.low_precision import LowPrecision
from edgefair.compress.quantization.recipe import CalibrationRecipe, calibration_rows, check_calibration
from edgefair.config import Config
from edgefair.data.groups import joint_groups
from edgefair.data.own_rows import check_unjudged, feature_rows, unlike_training
from edgefair.data.rows import TableRows
from edgefair.files import shown
from edgefair.joint import group_name
from edgefair.streams import Stream
from edgefair.targets import load_profile
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.outputs import TargetAnswers
from edgefair.workflow.measurement.sampling import cells_of, draw
from edgefair.workflow.models.graph_inputs import GraphInputs
from edgefair.workflow.models.reference import Reference

BATCH_ROWS = 256


def idle_calibration(config: Config, kind: type[LowPrecision] | None) -> tuple[str, ...]:
    """What to say where another calibration than the usual one is asked for, and nothing calibrates.

    Args:
        kind: which low precision the file gets.
    """
    asked = config.compress.calibration
    why = "nothing is quantized" if kind is None else kind.uncalibrated
    if why is None or asked == type(config.compress).model_fields["calibration"].default:
        return ()
    return (f"calibration '{asked}' has no effect: {why}, and only static INT8 is calibrated",)


class CalibrationRows:
    """Finds the rows of recipes, once for each.

    Args:
        reference: the model before compression, whose loss tells the worst groups.
    """

    def __init__(self, job: Job, reference: Reference) -> None:
        self._config, self._data, self._targets = job.config, job.data, job.targets
        self._reference = reference
        self._found: dict[CalibrationRecipe, tuple[TableRows, tuple[str, ...]]] = {}

    def check(self, recipe: CalibrationRecipe) -> None:
        """Refuse a recipe that the rows cannot serve, before anything is trained; losses decide nothing of that.

        Raises:
            DataError: a cell without rows; a file of rows that the model does not fit, or that holds audit rows.
        """
        if recipe.source is not None:
            self.rows(recipe)
        else:
            train = self._train(recipe)
            self._choose(recipe, train, np.zeros(len(train)))

    def rows(self, recipe: CalibrationRecipe) -> tuple[TableRows, tuple[str, ...]]:
        """The rows that a recipe takes, and what to warn of.

        Raises:
            DataError: as `check`; or too few rows.
        """
        if recipe not in self._found:
            own = recipe.source is not None
            self._found[recipe] = self._own_rows(recipe) if own else self._training_rows(recipe)
        return self._found[recipe]

    def cell(self, recipe: CalibrationRecipe, rows: TableRows) -> NDArray[np.int64] | None:
        """Of every row of `rows(recipe)` its cell of joint group and label; None of a file of rows, which has none."""
        if recipe.source is not None:
            return None
        group, _ = joint_groups(rows.sensitive, self._config.policy.base_attributes)
        return group * len(self._data.classes) + rows.label

    def batches(self, rows: TableRows) -> GraphInputs:
        """Rows as the graph takes them."""
        return GraphInputs(rows, self._reference.spec, BATCH_ROWS)

    def _training_rows(self, recipe: CalibrationRecipe) -> tuple[TableRows, tuple[str, ...]]:
        worst = recipe.balance == "group-worst"
        train, loss = self._with_loss(recipe) if worst else (self._train(recipe), None)
        chosen, group, names = self._choose(recipe, train, loss)
        return train.take(chosen), check_calibration(recipe, chosen, group=group, label=train.label, names=names)

    def _train(self, recipe: CalibrationRecipe) -> TableRows:
        return self._data.rows_for(
            f"calibration '{recipe.name}'",
            "train",
            fix="pass a file of rows like those that the model will see (no labels needed): --calibration FILE",
        )

    def _choose(
        self, recipe: CalibrationRecipe, rows: TableRows, loss: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[list[str], tuple[str, ...]]]:
        """Positions of the recipe's rows among these, the joint group of each of these, names of groups and labels."""
        policy, seed = self._config.policy, self._config.seed
        group, groups = joint_groups(rows.sensitive, policy.base_attributes)
        names = [*map(group_name, groups)], self._data.classes
        parts = [joint_groups(rows.sensitive, policy.attributes_of(name)) for name in policy.attributes]
        judged = [(index, [*map(group_name, found)]) for index, found in parts]
        chosen = calibration_rows(
            recipe, group=group, label=rows.label, groups=len(groups), seed=seed, loss=loss, names=names, judged=judged
        )
        return chosen, group, names

    def _own_rows(self, recipe: CalibrationRecipe) -> tuple[TableRows, tuple[str, ...]]:
        source, seed = str(recipe.source), self._config.seed
        own = feature_rows(self._config.data, self._data, source, base=self._config.base)
        nobody = np.zeros(len(own), dtype=np.int64)
        chosen = calibration_rows(recipe, group=nobody, label=nobody, groups=1, seed=seed)
        check_calibration(recipe, chosen, group=nobody, label=nobody)
        rows = own.take(chosen)
        # Where nothing is judged, audit rows are not read.
        audit = self._data.splits.get("audit")
        equal = () if audit is None else check_unjudged(own, audit, source)
        unlike = unlike_training(rows, self._data.train, seed=seed)
        return rows, tuple(
            f"calibration rows of '{shown(source, self._config.base)}': {warning}" for warning in (*equal, *unlike)
        )

    def _with_loss(self, recipe: CalibrationRecipe) -> tuple[TableRows, NDArray[np.float64]]:
        """Training rows of every cell, as many as the recipe could take from one, and their loss before compression."""
        drawn = draw(
            self._train(recipe), self._config, cells_of(self._config, self._data), recipe.rows, Stream.CALIBRATION_LOSS
        )
        model, spec = onnx.load_model(self._reference.path), self._reference.spec
        with TargetAnswers(load_profile("local"), drawn.rows, spec, targets=self._targets) as answers:
            return drawn.rows, scores(model, answers, spec).loss(drawn.rows.label)
