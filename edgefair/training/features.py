"""From training rows to the model's spec: which graph inputs there are and what fills them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgefair.data.config import MissingRule
from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import Categories
from edgefair.data.rows import TableRows
from edgefair.data.texts import Texts
from edgefair.errors import DataError
from edgefair.graphs.names import Names
from edgefair.probe.onnx_files.spec import CATEGORY, Column, InputSpec, ModelSpec, PictureSpec, Reading
from edgefair.training.settings import ModelConfig, PictureConfig

if TYPE_CHECKING:
    from edgefair.data.dataset import DataSet


# Training rows that a value must have to be in a vocabulary, and the share of all that the vocabulary must cover.
LEAST_ROWS, LEAST_SHARE = 5, 0.05


def spec_for(data: DataSet, model: ModelConfig) -> ModelSpec:
    """The spec of a model trained on these rows.

    Pictures become the graph input `picture` (uint8, scaled inside the graph) and texts the input `input_ids`. Numbers
    become the input `numeric`, where the data says so with what stands in for a missing one; categories the input
    `categorical` with the vocabulary of the training split, of which no value may be one; and an
    array feature an input of its own name; where that is one of these, the other gets a number. Vocabularies are
    sorted and in the one spelling of each value, so equal data gives an equal spec, whoever wrote it.

    Raises:
        DataError: a categorical feature of which no value is frequent enough for a vocabulary, or numbers of which no
            training row has one.
    """
    numbers: list[Column] = []
    categories: list[Column] = []
    arrays: list[InputSpec] = []
    for name in data.features:
        values = data.train.table.columns[name]
        if isinstance(values, Texts):
            tokens = values.tokenizer.spec(column=name, part="ids", length=model.text_length)
            arrays.append(InputSpec(name="input_ids", dtype="int32", tokens=tokens))
        elif isinstance(values, LazyColumn):
            arrays.append(InputSpec(name="picture", dtype="uint8", picture=_picture(name, model.picture)))
        elif isinstance(values, Categories):
            own = CATEGORY if values.missing() >= LEAST_ROWS else None
            categories.append(Column(name, _vocabulary(name, values.plain()), missing=own))
        elif values.ndim > 1:
            arrays.append(InputSpec(name=name, dtype="float32", array=name))
        else:
            numbers.append(_number(name, values, data.missing))
    inputs, names = arrays, Names(item.name for item in arrays)
    if numbers:
        inputs = [*inputs, InputSpec(name=names.fresh("numeric"), dtype="float32", columns=tuple(numbers))]
    if categories:
        inputs = [*inputs, InputSpec(name=names.fresh("categorical"), dtype="int32", columns=tuple(categories))]
    binary = len(data.classes) == 2
    return ModelSpec(
        inputs=tuple(inputs),
        reading=Reading(
            output=names.fresh("decision"),
            kind="label",
            threshold=model.threshold if binary else None,
            score=names.fresh("score"),
        ),
        classes=tuple(data.classes),
    )


def _number(name: str, values: NDArray[np.float32], missing: MissingRule) -> Column:
    """A column of numbers, with what stands in for a missing one: that of the training rows that have one.

    Raises:
        DataError: none has.
    """
    if missing == "refuse":
        return Column(name)
    known = values[np.isfinite(values)].astype(np.float64)
    if not len(known):
        raise DataError(
            f"feature '{name}' has no number in any training row, and data.missing asks for their {missing}",
            fix="exclude it with data.exclude",
        )
    fill = np.float32(np.mean(known) if missing == "mean" else np.median(known))
    return Column(name, missing=missing, fill=float(fill))


def _vocabulary(name: str, column: Categories) -> tuple[str, ...]:
    """The values of enough training rows, sorted. Rarer ones may be one person's, teach nothing, and ship to nobody.

    Raises:
        DataError: hardly a training row has one that is left.
    """
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values))
    frequent = counts >= LEAST_ROWS
    if counts.sum() and counts[frequent].sum() < LEAST_SHARE * counts.sum():
        raise DataError(
            f"feature '{name}' has {np.count_nonzero(counts):,} different values in {counts.sum():,} training rows, "
            f"and only {np.count_nonzero(frequent):,} of them in {LEAST_ROWS} rows or more",
            expected=f"values that {LEAST_ROWS} training rows share: a model cannot learn from a rarer one, "
            "which may be a person's name",
            fix="merge values with data.merge, or exclude the column with data.exclude",
        )
    return tuple(sorted(value for value, kept in zip(column.values, frequent, strict=True) if kept))


def rare_values(spec: ModelSpec, rows: TableRows) -> tuple[str, ...]:
    """What to say of the values that training rows have and the vocabulary leaves out."""
    found = []
    for column in (column for item in spec.inputs for column in item.columns if column.vocabulary is not None):
        values = rows.table.columns[column.name]
        present = values.plain().present if isinstance(values, Categories) else ()
        if rare := sorted({*present} - {*(column.vocabulary or ())}):
            found.append(
                f"'{column.name}': {len(rare):,} values of fewer than {LEAST_ROWS} training rows are coded as unseen, "
                f"as '{rare[0]}'"
            )
    return tuple(found)


def _picture(column: str, config: PictureConfig) -> PictureSpec:
    return PictureSpec(
        column=column,
        height=config.height,
        width=config.width,
        channels=config.channels,
        resample=config.resample,
        shorter=config.shorter,
        stretched=config.stretched,
    )
