"""Rows that are given to one network after the other, or in one epoch after the other, and encoded once."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from numpy.typing import NDArray

from edgefair.data.dataset import DataSet, Role
from edgefair.data.rows import TableRows
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec

# Of encoded rows that are kept, at most; more of them are encoded anew each time.
MOST_BYTES = 512 << 20


@dataclass(frozen=True, eq=False)
class EncodedOnce(TableRows):
    """Rows that remember the batches that a model of one kind of input was last given."""

    _kept: dict[tuple[tuple[InputSpec, ...], int], list[dict[str, NDArray[Any]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: TableRows) -> Self:
        """The same rows."""
        if isinstance(rows, cls):
            return rows
        return cls(**{item.name: getattr(rows, item.name) for item in fields(TableRows)})

    def inputs(self, spec: ModelSpec, batch_rows: int) -> Generator[dict[str, NDArray[Any]], None, None]:
        """See `TableRows`; nobody may write into the arrays."""
        key = (spec.inputs, batch_rows)
        if key in self._kept:
            yield from self._kept[key]
            return
        batches, held = [], 0
        for batch in super().inputs(spec, batch_rows):
            held += sum(array.nbytes for array in batch.values())
            if held <= MOST_BYTES:
                batches.append(batch)
            else:
                batches.clear()
            yield batch
        if held <= MOST_BYTES:
            self._kept.clear()
            self._kept[key] = batches


def encoded_once(data: DataSet, *roles: Role) -> DataSet:
    """The same rows, those of the given roles encoded once."""
    return replace(data, splits={**data.splits, **{role: EncodedOnce.of(data.splits[role]) for role in roles}})
