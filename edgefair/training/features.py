"""From training rows to the model's spec: which graph inputs there are and what fills them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgefair.data.lazy import LazyColumn
from edgefair.data.table import Categories
from edgefair.data.texts import Texts
from edgefair.debias.names import Names
from edgefair.probe.spec import Column, InputSpec, ModelSpec, PictureSpec, Reading
from edgefair.training.settings import ModelConfig, PictureConfig

if TYPE_CHECKING:
    from edgefair.data.dataset import DataSet


def spec_for(data: DataSet, model: ModelConfig) -> ModelSpec:
    """The spec of a model trained on these rows.

    Pictures become the graph input `picture` (uint8, scaled inside the graph) and texts the input `input_ids`. Numbers
    become the input `numeric`, categories the input `categorical` with the vocabulary of the training split, and an
    array feature an input of its own name; where that is one of these, the other gets a number. Vocabularies are
    sorted, so equal data gives an equal spec.
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
            present = {values.values[code] for code in set(values.codes.tolist()) if code >= 0}
            categories.append(Column(name, tuple(sorted(present))))
        elif values.ndim > 1:
            arrays.append(InputSpec(name=name, dtype="float32", array=name))
        else:
            numbers.append(Column(name))
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


def _picture(column: str, config: PictureConfig) -> PictureSpec:
    return PictureSpec(
        column=column,
        height=config.height,
        width=config.width,
        channels=config.channels,
        resample=config.resample,
        shorter=config.shorter,
    )
