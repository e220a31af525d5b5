"""Canary rows asked of every target in the run that judges it, and the file that travels with the bundle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgefair.bundle.canaries.selection import NO_ROWS, Chosen, choose, clear_rows, one_by_one
from edgefair.errors import MeasurementError
from edgefair.probe.bundles.canaries import Answers, Canaries
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.targets import AnyProbe, LoadedModel


class Questions:
    """Rows for the targets, and what these have answered so far.

    Args:
        content: of the model file.
    """

    def __init__(self, content: bytes, spec: ModelSpec) -> None:
        self._chosen: Chosen = choose(content, spec)
        self._spec = spec
        self._found: dict[str, Answers] = {}

    def ask(self, probe: AnyProbe, model: LoadedModel) -> tuple[str, ...]:
        """Have a target answer, each row alone, as a device in use is asked.

        The verdict does not rest on it: synthetic numbers may be what no person has, and overflow in a narrow type.

        Returns:
            What a reader of the bundle must know of its canary rows.
        """
        if not len(self._chosen):
            return self._chosen.notes
        spec = self._spec
        names = [name for name in (spec.reading.output, spec.reading.score) if name is not None]
        try:
            (outputs,) = probe.run(model, [self._chosen.inputs], names, inputs=spec.inputs, one_by_one=True)
        except MeasurementError as error:
            return (NO_ROWS.format(f"target '{probe.profile.name}' did not answer them ({error.found})"),)
        self._found[probe.profile.name] = one_by_one(outputs, spec)
        return self._chosen.notes

    def to_bytes(self, targets: Sequence[str]) -> bytes | None:
        """The rows that every target decided clearly, with the answers of each; None where there are none.

        Args:
            targets: all that were asked, in the order of the report.
        """
        if not targets or not set(targets) <= self._found.keys():
            return None
        answers = [self._found[name] for name in targets]
        kept = np.flatnonzero(np.all([clear_rows(found, self._spec.reading) for found in answers], axis=0))
        if not len(kept):
            return None
        inputs = {name: array[kept] for name, array in self._chosen.inputs.items()}
        return Canaries(inputs, [found.rows(kept) for found in answers]).to_bytes()
