"""Calibration recipes: which training rows set the INT8 ranges, and how."""

from __future__ import annotations

from typing import Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgefair.errors import DataError, UsageError
from edgefair.resources import named_file


class CalibrationRecipe(BaseModel):
    """One file of `calibration/`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the recipe, written into the manifest.")
    rows: int = Field(2048, ge=1, description="Calibration rows in total, drawn from the training split.")
    balance: Literal["none", "group", "group-label"] = Field(
        "group-label", description="Which cells give the same number of rows."
    )
    method: Literal["minmax"] = Field("minmax", description="How the range of an activation is found.")
    weights: Literal["per-channel", "per-tensor"] = Field("per-channel", description="Granularity of weight scales.")
    activations: Literal["uint8", "int8"] = Field("uint8", description="Type of quantized activations.")


def open_recipe(name_or_path: str) -> CalibrationRecipe:
    """A shipped recipe by name, or any by path.

    Raises:
        UsageError: no such recipe, or a file that is not one.
    """
    path = named_file("calibration", name_or_path, what="calibration recipe")
    try:
        return CalibrationRecipe.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise UsageError(f"calibration recipe '{path}' cannot be used: {error}") from error


def calibration_rows(
    recipe: CalibrationRecipe, *, group: NDArray[np.int64], label: NDArray[np.int64], groups: int, seed: int
) -> NDArray[np.int64]:
    """Sorted positions of the calibration rows among the training rows.

    With `balance: group` every group, with `group-label` every (group, label) cell, gives rows // cells rows, or all
    it has.

    Args:
        group: int64 [rows], joint sensitive group of each training row, 0 <= group < groups.
        label: int64 [rows].

    Raises:
        DataError: a cell that must be represented has no row: its activations would be clipped to other people's range.
    """
    rng = np.random.default_rng(seed)
    if recipe.balance == "none":
        return np.sort(rng.permutation(len(label))[: recipe.rows])
    labels = int(label.max()) + 1 if recipe.balance == "group-label" else 1
    cell = group * labels + (label if recipe.balance == "group-label" else 0)
    each = max(1, recipe.rows // (groups * labels))
    chosen = []
    for index in range(groups * labels):
        members = np.flatnonzero(cell == index)
        if not len(members):
            raise DataError(
                f"calibration recipe '{recipe.name}': no training row in group {index // labels}"
                + (f", label {index % labels}" if labels > 1 else ""),
                expected="training rows in every declared cell",
                fix="add such rows to the training split, or use a recipe with `balance: none`",
            )
        chosen.append(rng.permutation(members)[:each])
    return np.sort(np.concatenate(chosen))
