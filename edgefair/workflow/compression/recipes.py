"""Calibration recipes by name, as the config's targets need them."""

from __future__ import annotations

from edgefair.compress.low_precision import LOW_PRECISIONS
from edgefair.compress.quantization.recipe import CalibrationRecipe, open_recipe
from edgefair.config import Config
from edgefair.errors import UsageError
from edgefair.targets import load_profile
from edgefair.targets.runtimes import Kernels


def recipe_of(config: Config, name: str) -> CalibrationRecipe:
    """A recipe, changed as the low precision and the kernels that run the model on any target need it.

    TensorRT takes no other file; onnxruntime on a CPU takes that one too, so one file goes to the whole fleet.

    Args:
        name: of a shipped recipe, or the path of a recipe or of a file of rows.

    Raises:
        UsageError: see `open_recipe`; a recipe of a low precision that is not asked for.
    """
    recipe = open_recipe(name, base=config.base)
    asked = None if config.compress.int8 is None else LOW_PRECISIONS.get(config.compress.int8)
    needs = [item.recipe for item in kernels_of(config)] + ([] if asked is None else [asked.recipe])
    for key, kind in LOW_PRECISIONS.items():
        if kind is not asked and kind.recipe and recipe.activations == kind.recipe["activations"]:
            raise UsageError(
                f"calibration recipe '{recipe.name}' is for {kind.called}, which is not asked for",
                fix=f"add --int8 {key}, or use another recipe",
            )
    return recipe.model_copy(update={key: value for item in needs for key, value in item.items()})


def check_recipes(config: Config) -> None:
    """Refuse calibration recipes that cannot be read, before hours are spent.

    Raises:
        UsageError: an unknown one.
    """
    repair = config.compress.repair
    tried = (*config.compress.rungs, *repair.calibrations) if repair.enabled else ()
    for name in (config.compress.calibration, *tried):
        recipe_of(config, name)


def kernels_of(config: Config) -> list[Kernels]:
    """Whose kernels run the model, by target."""
    return [load_profile(name).kernels for name in config.targets]
