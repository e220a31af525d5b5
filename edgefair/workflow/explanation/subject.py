"""What `explain` explains: a training run, a model, or a bundle by its FP32 reference and its compressed file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from pydantic import ValidationError

from edgefair.bundle.manifest import is_bundle, open_bundle
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.errors import ModelError
from edgefair.mistakes import first_mistake
from edgefair.progress import Progress
from edgefair.workflow.compression.steps import trained_again
from edgefair.workflow.models.convert import convert_model
from edgefair.workflow.models.reference import Reference
from edgefair.workflow.models.trained import trained_model


@dataclass(frozen=True, eq=False)
class Subject:
    """What is explained.

    Attributes:
        shown_as: how its owner knows it.
        reference: the model before compression.
        shipped: the file of a bundle, if any of it is in low precision.
        precision: settings under `compress` that it was made with.
        recipe: how it was calibrated.
        trained: steps that gave the file other weights.
    """

    shown_as: str
    reference: Reference
    shipped: onnx.ModelProto | None = None
    precision: dict[str, Any] = field(default_factory=dict)
    recipe: CalibrationRecipe | None = None
    trained: tuple[str, ...] = ()


def subject_of(
    config: Config,
    data: DataSet,
    *,
    model: str | None,
    run: str | None,
    weights: Path | None,
    to: Path,
    progress: Progress,
) -> Subject:
    """Open what is explained.

    Args:
        model: a bundle, or a model as `workflow.models.kinds.KINDS` says; not looked at where a run is given.
        run: name of a finished training run.
        weights: of the torch module that a factory makes.
        to: where the FP32 ONNX file goes.

    Raises:
        UsageError: no such model, or no PyTorch.
        ModelError: a bundle without its reference, a folder that is not a bundle, or a model that gives no ONNX file.
    """
    if run is not None:
        return Subject(f"run {run}", trained_model(config, run, to, progress))
    path = Path(str(model))
    if not path.is_dir():
        return Subject(str(model), convert_model(config, data, str(model), weights=weights, to=to, progress=progress))
    if not is_bundle(path):
        raise ModelError(
            f"'{path}' is a folder but not a bundle", expected="a bundle made by `edgefair export`, or a model file"
        )
    bundle = open_bundle(path)
    if bundle.reference is None:
        raise ModelError(
            f"bundle '{path}' has no FP32 reference to compare layers with",
            fix="explain the bundle where it was exported, or the model it was made from",
        )
    settings = bundle.manifest.settings
    lowered = {"int8": settings.get("int8"), "fp16": bool(settings.get("fp16"))}
    return Subject(
        str(path),
        convert_model(config, data, str(bundle.reference), weights=None, to=to, progress=progress),
        shipped=onnx.load_model(bundle.model) if any(lowered.values()) else None,
        precision=lowered if any(lowered.values()) else {},
        recipe=_recipe(path, settings["calibration"]) if "calibration" in settings else None,
        trained=trained_again(settings),
    )


def _recipe(bundle: Path, settings: dict[str, Any]) -> CalibrationRecipe:
    """The recipe as the manifest has it, which spells out what a recipe's file leaves to its defaults."""
    fields = CalibrationRecipe.model_fields
    given = {key: value for key, value in settings.items() if key not in fields or value != fields[key].default}
    try:
        return CalibrationRecipe.model_validate(given)
    except ValidationError as error:
        raise ModelError(
            f"the calibration recipe in the manifest of bundle '{bundle}' cannot be read: {first_mistake(error).why}"
        ) from error
