"""From training rows to the model's spec: which graph inputs there are and what fills them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgefair.data.table import Categories
from edgefair.probe.spec import Column, InputSpec, ModelSpec, Reading

if TYPE_CHECKING:
    from edgefair.data.dataset import DataSet


def spec_for(data: DataSet, *, threshold: float) -> ModelSpec:
    """The spec of a model trained on these rows.

    Numbers become the graph input `numeric`, categories the input `categorical` with the vocabulary of the training
    split, and an array feature an input of its own name. Vocabularies are sorted, so equal data gives an equal spec.
    """
    numbers: list[Column] = []
    categories: list[Column] = []
    arrays: list[InputSpec] = []
    for name in data.features:
        values = data.train.table.columns[name]
        if isinstance(values, Categories):
            present = {values.values[code] for code in set(values.codes.tolist()) if code >= 0}
            categories.append(Column(name, tuple(sorted(present))))
        elif values.ndim > 1:
            arrays.append(InputSpec(name=name, dtype="float32", array=name))
        else:
            numbers.append(Column(name))
    inputs = arrays
    if numbers:
        inputs = [*inputs, InputSpec(name="numeric", dtype="float32", columns=tuple(numbers))]
    if categories:
        inputs = [*inputs, InputSpec(name="categorical", dtype="int32", columns=tuple(categories))]
    binary = len(data.classes) == 2
    return ModelSpec(
        inputs=tuple(inputs),
        reading=Reading(output="decision", kind="label", threshold=threshold if binary else None, score="score"),
        classes=tuple(data.classes),
    )
