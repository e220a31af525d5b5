"""Ask two targets for inner values of the judged model, on rows that they decide differently."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgefair.data.rows import TableRows
from edgefair.errors import EdgefairError, ModelError
from edgefair.measure.disagreement import Origin
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import timed
from edgefair.report.results.verification import Report
from edgefair.targets import TargetProfile
from edgefair.targets.loaded import LoadedModel, read_model
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.consistency import outputs_of
from edgefair.workflow.measurement.origin.search import Seen, compared, first_layer
from edgefair.workflow.measurement.outputs import TargetAnswers
from edgefair.workflow.models.convert import spec_here

if TYPE_CHECKING:
    from edgefair.graphs.boundaries import Boundaries

ROWS = 16
# Beside them, spread over all rows: a value's range on a few rows that are alike may be a small part of it.
RANGE_ROWS = 32
# A verdict is not kept waiting for a finding that it does not rest on; what has begun is finished.
SECONDS = 30.0
NOT_FOUND = "the layer in which {} and {} begin to differ was not found: {}"
AGAIN = "asked again for {} of these rows, they decide alike"
LATE = f"not within {SECONDS:.0f} s"
OTHER_FORMAT = "the inner values of {} files cannot be looked at"


@timed("tracing differences")
def with_origins(
    job: Job,
    report: Report,
    path: Path,
    rows: TableRows,
    profiles: Sequence[TargetProfile],
    decisions: Mapping[str, NDArray[np.int64]],
) -> Report:
    """The report, saying of every two targets that disagree in which layer they begin to, or in a note why not.

    The verdict does not rest on it: a device that is lost by now costs the finding alone.

    Args:
        path: the judged file.
        rows: in the order in which the targets have decided them, as far as each did.
        decisions: target -> int64 [rows].
    """
    until = time.monotonic() + SECONDS
    by_name = {profile.name: profile for profile in profiles}
    pairs, notes = [], []
    for pair in report.disagreements:
        found: Origin | str | None = None
        if pair.differing:
            names = (pair.first, pair.second)
            job.progress.stage(f"looking where {' and '.join(names)} begin to differ")
            one, other = (decisions[name][: pair.rows] for name in names)
            differing = np.flatnonzero(one != other)[:ROWS]
            spread = np.setdiff1d(np.linspace(0, pair.rows - 1, RANGE_ROWS).astype(np.int64), differing)
            few = rows.take(np.concatenate([differing, spread]))
            try:
                found = _origin(job, path, few, len(differing), (by_name[names[0]], by_name[names[1]]), until)
            except TimeoutError:
                found = LATE
            except EdgefairError as error:
                found = error.found
            except (OSError, ValueError) as error:  # a full disk, a graph too large for protobuf with one output more
                found = str(error)
            if isinstance(found, str):
                notes.append(NOT_FOUND.format(*names, found))
        pairs.append(dataclasses.replace(pair, begins_in=found if isinstance(found, Origin) else None))
    return dataclasses.replace(report, disagreements=tuple(pairs), notes=(*report.notes, *notes))


def _origin(
    job: Job, path: Path, rows: TableRows, differing: int, pair: tuple[TargetProfile, TargetProfile], until: float
) -> Origin | str:
    """Where the first `differing` of these rows come to be decided differently.

    Raises: EdgefairError: a target was lost or refuses; TimeoutError: it is later than `until`.
    """
    # Targets that agree, and a verdict on one of them, need no graph.
    import onnx

    from edgefair.graphs.boundaries import Boundaries

    content = read_model(path)
    model = LoadedModel.unloaded(content, path=path)
    if model.format.suffix != ".onnx":
        return OTHER_FORMAT.format(model.format.name)
    if time.monotonic() > until:
        raise TimeoutError
    spec = spec_here(job.config, job.data, path)
    graph = Boundaries(onnx.load_model_from_string(content), outputs_of(spec))
    with TargetAnswers(pair[0], rows, spec) as first, TargetAnswers(pair[1], rows, spec) as second:
        sides = _Sides(graph, spec, (first, second), model.step, until, differing)
        if not len(sides.values(None)[2]):
            return AGAIN.format(differing)
        return first_layer(graph, sides.look)


@dataclasses.dataclass(frozen=True)
class _Sides:
    """Two targets, asked for the same rows, the first `rows` of which they decided differently."""

    graph: Boundaries
    spec: ModelSpec
    answers: tuple[TargetAnswers, TargetAnswers]
    step: float
    until: float
    rows: int

    def values(self, value: str | None) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.intp]]:
        """What both say of a value, each [rows, ...], and the rows that they decide differently while it can be seen.

        None of these where they are fewer than half: then other kernels are at work than in the judged model.

        Raises:
            ModelError: a runtime cannot make the graph with this output.
            MeasurementError, TimeoutError: a device was lost, or it has taken too long.
        """
        if time.monotonic() > self.until:
            raise TimeoutError
        shown, outputs = self.graph.shown(value), outputs_of(self.spec)
        read = outputs[0] if value is None else value
        names = list(dict.fromkeys([*outputs, read]))
        one, other = (dict(zip(names, answers(shown, names), strict=True)) for answers in self.answers)
        try:
            differs = np.flatnonzero((self._decisions(one) != self._decisions(other))[: self.rows])
        except ValueError:  # no decisions
            differs = np.arange(0)
        return one[read], other[read], differs if 2 * len(differs) >= self.rows else differs[:0]

    def look(self, value: str) -> Seen | None:
        """See `search.Look`."""
        try:
            one, other, differing = self.values(value)
        except ModelError:
            return None
        return compared(one, other, differing, coded=self.graph.coded(value)) if len(differing) else None

    def _decisions(self, outputs: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
        return read_decisions(outputs, self.spec.reading, len(self.spec.classes), self.step)[0]
