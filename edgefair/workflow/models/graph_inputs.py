"""Rows as a graph takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgefair.data.rows import TableRows
from edgefair.probe.inputs.prepare import needs_preparation, prepare
from edgefair.probe.onnx_files.spec import ModelSpec


@dataclass(frozen=True, eq=False)
class GraphInputs:
    """Rows as graph inputs, few at a time, with what the device would prepare. Every iteration starts anew.

    Attributes:
        rows_at_once: at most.
    """

    rows: TableRows
    spec: ModelSpec
    rows_at_once: int

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        """The batches, in the order of the rows."""
        wanting = [item for item in self.spec.inputs if needs_preparation(item)]
        for batch in self.rows.inputs(self.spec, self.rows.batch_rows(self.spec, self.rows_at_once)):
            yield prepare(batch, wanting)
