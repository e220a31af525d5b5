"""Calibration recipes: which training rows set the INT8 ranges, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgefair.errors import DataError, UsageError
from edgefair.files import sha256_file
from edgefair.mistakes import first_mistake
from edgefair.probe.regular import read_regular
from edgefair.resources import named_file
from edgefair.yaml_text import MAX_BYTES, parse_yaml

# With fewer rows a range is an accident; with fewer of one cell it is that cell's.
LEAST_ROWS = 16
FEW_ROWS = 8
Method = Literal["minmax", "entropy", "percentile", "mse", "group-mse"]
Activations = Literal["uint8", "int8", "int8-symmetric", "uint16"]
# Runtimes whose kernels take one type of activations only, which no other runtime computes as fast.
BOUND = {"tensorrt": "int8-symmetric", "npu": "uint16"}
# Smallest and largest code of an activation.
CODES: Mapping[Activations, tuple[int, int]] = {
    "uint8": (0, 255),
    "int8": (-128, 127),
    "int8-symmetric": (-127, 127),
    "uint16": (0, 65535),
}
# How files end that hold rows and no recipe.
ROWS = (".csv", ".npz", ".parquet")


class CalibrationRecipe(BaseModel):
    """One file of `calibration/`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the recipe, written into the manifest.")
    rows: int = Field(2048, ge=1, description="Calibration rows in total, drawn from the training split.")
    source: str | None = Field(
        None,
        description="File of rows to calibrate on instead of training rows: .csv, .npz or .parquet with "
        "the columns of the features. Needs `balance: none`, as such rows have no groups.",
    )
    source_sha256: str | None = Field(None, description="Digest of that file, filled in when the recipe is read.")
    balance: Literal["none", "group", "group-label", "group-worst"] = Field(
        "group-label", description="Which cells contribute equally many rows."
    )
    method: Method = Field("minmax", description="How the range of an activation is found.")
    percentile: float = Field(
        99.999, gt=0, le=100, description="Percentage of the values inside a range, with `method: percentile`."
    )
    equalize: bool = Field(
        False, description="Scale channels between layers so that those with one scale have one size."
    )
    rounding: Literal["nearest", "adaptive"] = Field(
        "nearest",
        description="To which code a weight goes: the nearest, or that with which its layer gives what it gave.",
    )
    correct_biases: bool = Field(
        False, description="Move every bias by what coding changes in the mean of its channel."
    )
    weights: Literal["per-channel", "per-tensor"] = Field("per-channel", description="Granularity of weight scales.")
    weight_bits: Literal[8, 4] = Field(
        8, description="Bits of a weight. 4 are simulated: 15 values in INT8, so the file is no smaller."
    )
    activations: Activations = Field("uint8", description="Type of quantized activations.")
    runtime: Literal["onnxruntime-cpu", "tensorrt", "npu"] = Field(
        "onnxruntime-cpu", description="The runtime whose kernels the quantizers are placed for."
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for runtime, activations in BOUND.items():
            if (self.runtime == runtime) != (self.activations == activations):
                raise ValueError(f"`runtime: {runtime}` and `activations: {activations}` need each other")
        if self.percentile != type(self).model_fields["percentile"].default and self.method != "percentile":
            raise ValueError(f"`percentile` needs `method: percentile`, not {self.method}")
        if self.rounding == "adaptive" and not self.correct_biases:
            raise ValueError("`rounding: adaptive` needs `correct_biases: true`: weights are chosen for moved biases")
        if self.source is not None and self.balance != "none":
            raise ValueError(f"`source` needs `balance: none`, not {self.balance}: such rows have no groups")
        return self


def open_recipe(name_or_path: str, *, base: Path = Path()) -> CalibrationRecipe:
    """A shipped recipe by name, or any by path; of a file of rows, the usual recipe with these rows.

    Args:
        base: folder that a relative path starts from.

    Raises:
        UsageError: no such recipe or file of rows, or a file that is not a recipe.
    """
    if Path(name_or_path).suffix.lower() in ROWS:
        return _readable(CalibrationRecipe(name=Path(name_or_path).stem, source=name_or_path, balance="none"), base)
    place = str(base / name_or_path) if Path(name_or_path).suffix else name_or_path
    path = named_file("calibration", place, what="calibration recipe")
    try:
        recipe = CalibrationRecipe.model_validate(parse_yaml(read_regular(path, most=MAX_BYTES).decode()))
    except FileNotFoundError as error:
        raise UsageError(
            f"no calibration recipe '{path}'", expected="a .yaml file, relative to the folder of edgefair.yaml"
        ) from error
    except ValidationError as error:
        first = first_mistake(error)
        said = ": ".join([*first.place, first.why])
        raise UsageError(f"calibration recipe '{path}' cannot be used: {said}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"calibration recipe '{path}' cannot be used: {error}") from error
    return _readable(recipe, base)


def _readable(recipe: CalibrationRecipe, base: Path) -> CalibrationRecipe:
    """The recipe with the digest of its rows, where it has a file of them."""
    if recipe.source is None:
        return recipe
    path = base / recipe.source
    if path.suffix.lower() not in ROWS or not path.is_file():
        raise UsageError(
            f"no file of calibration rows '{path}'",
            expected=f"a {', '.join(ROWS)} file, relative to the folder of edgefair.yaml",
        )
    return recipe.model_copy(update={"source_sha256": sha256_file(path)})


def calibration_rows(
    recipe: CalibrationRecipe,
    *,
    group: NDArray[np.int64],
    label: NDArray[np.int64],
    groups: int,
    seed: int,
    loss: NDArray[np.floating[Any]] | None = None,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
    judged: Sequence[tuple[NDArray[np.int64], Sequence[str]]] | None = None,
) -> NDArray[np.int64]:
    """Sorted positions of the calibration rows among the training rows, or among those of the recipe's own file.

    With `balance: group` every group, with `group-label` every (group, label) cell, gives rows // cells rows, or all
    it has; of several attributes a cell that is empty and not judged gives none. With `group-worst` half of the rows
    are so from all cells, and half more from the worst: of every label the group with the largest mean loss, because
    that is where the gap of a label is.

    Args:
        group: int64 [rows], joint sensitive group of each training row, 0 <= group < groups.
        label: int64 [rows].
        loss: float [rows] of the FP32 model, for `group-worst`.
        names: of the groups and of the labels, for messages.
        judged: of every attribute that is judged the group of each row, int64 [rows], and the groups' names; None: the
            joint groups are.

    Raises:
        DataError: a cell that is judged has no row: its activations would be clipped to other people's range.
        UsageError: `group-worst` without a loss.
    """
    rng = np.random.default_rng(seed)
    if recipe.balance == "none":
        return np.sort(rng.permutation(len(label))[: recipe.rows])
    labels = 1 if recipe.balance == "group" else int(label.max()) + 1
    cell = group if recipe.balance == "group" else group * labels + label
    worst = recipe.balance == "group-worst"
    rows = recipe.rows // 2 if worst else recipe.rows
    of_group, of_label = names or ([*map(str, range(groups))], [*map(str, range(labels))])
    for part, of_judged in judged or [(group, of_group)]:
        _check_cells(recipe, part if labels == 1 else part * labels + label, of_judged, of_label if labels > 1 else ())
    filled = np.unique(cell).tolist()
    chosen = [rng.permutation(np.flatnonzero(cell == index))[: max(1, rows // len(filled))] for index in filled]
    if worst:
        if loss is None:
            raise UsageError(
                f"calibration recipe '{recipe.name}' has `balance: group-worst`, and there is no loss of the rows",
                fix="use a recipe with another balance",
            )
        taken = np.concatenate(chosen)
        for index in _worst_cells(cell, loss, groups, labels):
            members = np.setdiff1d(np.flatnonzero(cell == index), taken)
            chosen.append(rng.permutation(members)[: (recipe.rows - rows) // labels])
    return np.sort(np.concatenate(chosen))


def _check_cells(
    recipe: CalibrationRecipe, cell: NDArray[np.int64], groups: Sequence[str], labels: Sequence[str]
) -> None:
    """Refuse a group, or a group and label, without a row."""
    each = len(labels) or 1
    for index in np.flatnonzero(np.bincount(cell, minlength=len(groups) * each) == 0).tolist():
        raise DataError(
            f"calibration recipe '{recipe.name}': no training row of group '{groups[index // each]}'"
            + (f" has label '{labels[index % each]}'" if labels else ""),
            expected="training rows in every declared cell",
            fix="add such rows to the training split, or use a recipe with `balance: none`",
        )


def _worst_cells(cell: NDArray[np.int64], loss: NDArray[np.floating[Any]], groups: int, labels: int) -> list[int]:
    """Of every label the cell of the group with the largest mean loss."""
    count = np.bincount(cell, minlength=groups * labels)
    total = np.bincount(cell, weights=loss, minlength=groups * labels)
    mean = np.where(count > 0, total / np.maximum(count, 1), -np.inf).reshape(groups, labels)
    return [int(mean[:, label].argmax()) * labels + label for label in range(labels)]


def check_calibration(
    recipe: CalibrationRecipe,
    chosen: NDArray[np.int64],
    *,
    group: NDArray[np.int64],
    label: NDArray[np.int64],
    names: tuple[Sequence[str], Sequence[str]] | None = None,
) -> tuple[str, ...]:
    """What to warn of: (group, label) cells with few calibration rows, whose activations may be clipped.

    Rows of the recipe's own file have no cells.

    Args:
        chosen: of `calibration_rows`.
        group: int64 [rows] of the training rows.
        label: int64 [rows] of the training rows.
        names: of the groups and of the labels.

    Raises:
        DataError: too few rows in all.
    """
    if len(chosen) < LEAST_ROWS:
        raise DataError(
            f"calibration recipe '{recipe.name}' chooses {len(chosen)} rows",
            expected=f"at least {LEAST_ROWS}",
            fix="raise `rows`, or add " + ("training rows" if recipe.source is None else f"rows to '{recipe.source}'"),
        )
    if recipe.source is not None:
        return ()
    cells, counts = np.unique(np.stack([group[chosen], label[chosen]]), axis=1, return_counts=True)
    groups, labels = names or (range(int(group.max()) + 1), range(int(label.max()) + 1))
    return tuple(
        f"calibration: {count} rows of group {groups[of_group]}, label {labels[of_label]}; with fewer than {FEW_ROWS} "
        "its activations may be clipped"
        for of_group, of_label, count in zip(*cells.tolist(), counts.tolist(), strict=True)
        if count < FEW_ROWS
    )
