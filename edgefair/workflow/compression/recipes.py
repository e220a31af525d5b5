"""Calibration recipes by name, as the config's targets need them."""

from __future__ import annotations

from edgefair.compress.quantization.recipe import CalibrationRecipe, open_recipe
from edgefair.config import Config
from edgefair.targets import load_profile


def recipe_of(config: Config, name: str) -> CalibrationRecipe:
    """A recipe, with symmetric activations and quantizers where TensorRT reads them if it runs the model anywhere.

    TensorRT takes no other file; onnxruntime on a CPU takes that one too, so one file goes to the whole fleet.

    Args:
        name: of a shipped recipe, or the path of a recipe or of a file of rows.

    Raises:
        UsageError: see `open_recipe`.
    """
    recipe = open_recipe(name, base=config.base)
    if for_tensorrt(config):
        return recipe.model_copy(update={"runtime": "tensorrt", "activations": "int8-symmetric"})
    return recipe


def check_recipes(config: Config) -> None:
    """Refuse calibration recipes that cannot be read, before hours are spent.

    Raises:
        UsageError: an unknown one.
    """
    repair = config.compress.repair
    for name in (config.compress.calibration, *(repair.calibrations if repair.enabled else ())):
        recipe_of(config, name)


def for_tensorrt(config: Config) -> bool:
    """Whether any target runs the model by TensorRT."""
    return any(load_profile(name).tensorrt for name in config.targets)
