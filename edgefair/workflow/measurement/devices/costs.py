"""What a model costs every device of a target: loading, memory and queries, each device when it is otherwise quiet."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgefair.data.rows import TableRows
from edgefair.measure.footprint import Footprint, worst_of
from edgefair.measure.pooled import said_of_loss
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import Progress, timed
from edgefair.targets import AnyProbe, LoadedModel
from edgefair.targets.costs import footprint
from edgefair.workflow.measurement.records.pooled import DeviceRecord

LATENCY_POOL = 256
Times = dict[str, NDArray[np.int64]]


class Costs:
    """Of the candidate and its reference, gathered in the order in which they must be.

    Attributes:
        not_timed: why there are no query times; empty where there are.
    """

    def __init__(self, probe: AnyProbe, candidate: LoadedModel, rows: TableRows, spec: ModelSpec) -> None:
        self.not_timed = "the latency phase was skipped (--no-latency)"
        self._probe = probe
        self._candidate = candidate
        self._rows = rows
        self._spec = spec
        self._footprints: dict[str, Footprint | None] = {}
        self._times: dict[str, Times] = {}
        if not probe.profile.latency.measured:
            self.not_timed = f"target '{probe.profile.name}' is emulated: its clock does not measure latency"

    @timed("load time and memory")
    def take_footprints(self) -> None:
        """While the candidate is the only model there; nothing where a device measures no time, or keeps an engine.

        A first load that builds something and later ones that find it are no one number. Of other runtimes than
        onnxruntime's own kernels later loads alone are taken.
        """
        profile, spec = self._probe.profile, self._spec
        if not profile.latency.measured or profile.host_runtime.keeps_engine:
            return
        row, outputs = next(self._rows.inputs(spec, 1)), [spec.reading.output]

        def work(one: AnyProbe) -> Footprint | None:
            found = footprint(one, self._candidate, row, outputs, inputs=spec.inputs)
            return found.of_later_loads if self._candidate.engine else found

        self._footprints = self._probe.each(work, timed=True)

    def take_times(self, reference: LoadedModel | None, progress: Progress) -> None:
        """Of single queries, interleaved with the reference's where one runtime runs both."""
        probe, spec = self._probe, self._spec
        if not probe.profile.latency.measured:
            return
        progress.stage("timing")
        pool = next(self._rows.inputs(spec, self._rows.batch_rows(spec, LATENCY_POOL)))
        alone = reference is None or reference.format is not self._candidate.format
        names = [self._candidate.name] if alone else ["reference", self._candidate.name]
        outputs = {name: [spec.reading.output] for name in names}
        self._times = probe.each(lambda one: one.latency(outputs, pool, inputs=spec.inputs, energy=True), timed=True)
        self.not_timed = ""

    @property
    def footprint(self) -> Footprint | None:
        """Of the worst device, if every one was measured."""
        return worst_of(list(self._footprints.values()))

    @property
    def times(self) -> Times:
        """Of the device that is slowest with the candidate, by the 90th percentile; none where none was timed."""
        of = self._candidate.name
        return max(self._times.values(), key=lambda times: float(np.percentile(times[of], 90)), default={})

    def by_device(self, rows: Mapping[str, int]) -> tuple[DeviceRecord, ...]:
        """What each device of a pool did and showed; none where the target is one device.

        Args:
            rows: that it decided, by its name.
        """
        return tuple(
            DeviceRecord(
                name=member.name,
                device=member.device,
                rows=rows.get(member.name, 0),
                footprint=self._footprints.get(member.name),
                times=self._times.get(member.name, {}),
                not_timed=self.not_timed
                or ("" if member.name in self._times else f"'{member.name}' was lost before it was timed"),
            )
            for member in self._probe.members
        )


def losses(probe: AnyProbe, rows: Mapping[str, int]) -> tuple[str, ...]:
    """What a reader of the verdict must know of devices that were lost."""
    return tuple(
        f"{said_of_loss(member.name, probe.profile.name, rows.get(member.name, 0))}, and the others ran what it left: "
        f"{member.lost.found}"
        for member in probe.members
        if member.lost is not None
    )
