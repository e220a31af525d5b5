"""Whether the devices of a pool decide alike, and how many rows they are handed at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefair.data.rows import TableRows
from edgefair.errors import MeasurementError
from edgefair.probe.bundles.canaries import TOLERANCE
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.targets import AnyProbe, LoadedModel
from edgefair.targets.connection import Arrays

# Rows that every device of a pool decides, and how many of those that differ are named.
ROWS, NAMED = 256, 8
# Parts of the rows for each device of a pool, so that a fast one takes more and none is waited for long.
PARTS = 8

Answered = tuple[NDArray[np.int64], NDArray[np.float32] | None]


def rows_at_once(probe: AnyProbe, rows: int, most: int) -> int:
    """Rows of a batch: `most`, and less where several devices share so few that some would get none."""
    devices = len(probe.members)
    return most if not devices else max(1, min(most, -(-rows // (PARTS * devices))))


def check_alike(
    probe: AnyProbe, model: LoadedModel, rows: TableRows, spec: ModelSpec, picked: NDArray[np.int64]
) -> None:
    """Have every device of a pool decide the same few rows in one batch, before they share the others.

    Args:
        picked: positions of the rows to choose from, int64 [picked].

    Raises:
        MeasurementError: two devices decide a row differently, or give it probabilities that differ by more than
            devices of one class do; or all were lost.
    """
    if not probe.members:
        return
    picked = picked[: rows.batch_rows(spec, ROWS)]
    (batch,) = rows.take(picked).inputs(spec, len(picked))
    found = probe.each(lambda one: _answer(one, model, spec, batch))
    first, *others = found
    for other in others:
        differ = _differing(found[first], found[other])
        if len(differ):
            named = ", ".join(str(row) for row in np.sort(picked[differ])[:NAMED])
            raise MeasurementError(
                f"target '{probe.profile.name}': its devices '{first}' and '{other}' answer {len(differ)} of "
                f"{len(picked)} rows differently: row {named}{', ...' if len(differ) > NAMED else ''} (counted from 0 "
                "in the order in which they are asked)",
                expected=f"devices of one class: equal decisions, and probabilities within {TOLERANCE}",
                fix="measure them as targets of their own, which shows for whom they differ, and release by the worst",
            )


def _answer(probe: AnyProbe, model: LoadedModel, spec: ModelSpec, batch: Arrays) -> Answered | None:
    """Decisions and probabilities; None where they cannot be read, which whoever decides all rows explains."""
    names = [name for name in (spec.reading.output, spec.reading.score) if name is not None]
    (outputs,) = probe.run(model, [batch], names, inputs=spec.inputs)
    try:
        return read_decisions(outputs, spec.reading, len(spec.classes), model.step)
    except ValueError:
        return None


def _differing(one: Answered | None, other: Answered | None) -> NDArray[np.int64]:
    """Positions of the rows that two devices answer differently; none where neither's answers can be read."""
    if one is None or other is None:
        return np.zeros(int((one is None) != (other is None)), dtype=np.int64)
    differs = one[0] != other[0]
    if one[1] is not None and other[1] is not None:
        differs = differs | (np.abs(one[1] - other[1]).max(axis=1) > TOLERANCE)
    return np.flatnonzero(differs)
