"""What graphs answer on a sample of rows, on one target that stays open from one graph to the next."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.data.rows import TableRows
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.scratch import work_folder
from edgefair.targets import TargetProfile, open_target

BATCH_ROWS = 1024


class TargetAnswers:
    """`debias.post.Answers` of a target, as a context manager. The encoded rows are kept: let them be few.

    Attributes:
        device: fingerprint of the machine, after entering.
    """

    def __init__(self, profile: TargetProfile, rows: TableRows, spec: ModelSpec) -> None:
        self._profile = profile
        self._spec = spec
        self._batches = list(rows.inputs(spec, rows.batch_rows(spec, BATCH_ROWS)))
        self._stack = contextlib.ExitStack()
        self.device: dict[str, Any] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._path = stack.enter_context(work_folder()) / "model.onnx"
            self._probe = stack.enter_context(open_target(self._profile))
            self.device = self._probe.device
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def __call__(self, model: onnx.ModelProto, names: Sequence[str]) -> list[NDArray[np.float32]]:
        """Values of the named outputs, each [rows, ...].

        Raises:
            ModelError: a graph that the target cannot load.
            MeasurementError: the device was lost, or its answers cannot be believed.
        """
        onnx.save_model(model, self._path)
        loaded = self._probe.load(self._path, name="candidate")
        parts = list(self._probe.run(loaded, self._batches, list(names), inputs=self._spec.inputs))
        return [np.concatenate([part[name] for part in parts]) for name in names]
