"""What graphs answer on some rows, on one target that stays open from one graph to the next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.data.rows import TableRows
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import timed
from edgefair.scratch import work_folder
from edgefair.targets import LoadedModel, TargetProfile
from edgefair.targets.costs import node_times
from edgefair.workflow.kept_targets import KeptTargets

if TYPE_CHECKING:
    import onnx

BATCH_ROWS = 4096


class TargetAnswers:
    """`debias.post.Answers` of a target, as a context manager.

    Args:
        targets: opens it; default: it is started anew.
        few: whether the rows are so few that they are encoded once, and not for every graph anew.
    """

    def __init__(
        self,
        profile: TargetProfile,
        rows: TableRows,
        spec: ModelSpec,
        *,
        targets: KeptTargets | None = None,
        few: bool = True,
    ) -> None:
        self._profile = profile
        self._targets = targets or KeptTargets(keep=False)
        self._spec = spec
        self._rows = rows
        self._kept = list(self._batches()) if few else None
        self._stack = contextlib.ExitStack()

    def _batches(self) -> Iterator[dict[str, NDArray[Any]]]:
        return self._rows.inputs(self._spec, self._rows.batch_rows(self._spec, BATCH_ROWS))

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._path = stack.enter_context(work_folder()) / "model.onnx"
            self._probe = stack.enter_context(self._targets.open(self._profile))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @timed("running a graph")
    def __call__(self, model: onnx.ModelProto, names: Sequence[str]) -> list[NDArray[np.float32]]:
        """Values of the named outputs, each [rows, ...].

        Raises:
            ModelError: a graph that the target cannot load.
            MeasurementError: the device was lost, or its answers cannot be believed.
        """
        loaded = self._loaded(model)
        batches = self._batches() if self._kept is None else self._kept
        parts = list(self._probe.run(loaded, batches, list(names), inputs=self._spec.inputs))
        return [np.concatenate([part[name] for part in parts]) for name in names]

    def node_times(self, model: onnx.ModelProto) -> dict[str, float]:
        """Microseconds of every node of a graph in a query, as far as the target measures time and tells it.

        Raises:
            ModelError: a graph that the target cannot load.
            MeasurementError: the device was lost, or its answers cannot be believed.
        """
        if not self._profile.latency.measured:
            return {}
        row, spec = next(self._rows.inputs(self._spec, 1)), self._spec
        return node_times(self._probe, self._loaded(model), row, [spec.reading.output], inputs=spec.inputs)

    def _loaded(self, model: onnx.ModelProto) -> LoadedModel:
        import onnx

        onnx.save_model(model, self._path)
        return self._probe.load(self._path, name="candidate")
