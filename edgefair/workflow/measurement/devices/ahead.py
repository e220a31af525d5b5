"""Probes of this machine that start while a command still reads its rows."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from edgefair.decision.policy import Policy
from edgefair.errors import UsageError
from edgefair.targets import AnyProbe, TargetProfile, load_profile, open_target
from edgefair.workflow.measurement.devices.aside import has_cores
from edgefair.workflow.measurement.fleet import patient

# A probe, and what ends it.
Coming = Future[tuple[AnyProbe, ExitStack]]


class Ahead:
    """Starts probes one after the other in a thread of its own, and hands them out as they are asked for.

    What has not begun to start when the first is asked for starts no more: there are few rows then. What nobody asked
    for ends with the block, or as soon as it has started.

    Args:
        profile: of the target; None starts nothing.
        probes: how many may start.
    """

    def __init__(self, profile: TargetProfile | None = None, *, probes: int = 1) -> None:
        self._profile = profile
        self._coming: list[Coming] = [] if profile is None else [Future() for _ in range(probes)]

    @classmethod
    def of(cls, targets: tuple[str, ...], policy: Policy, *, probes: int) -> Self:
        """For the targets of a verdict: nothing starts unless there is one, on this machine, with a core to spare.

        What is wrong with a target is said when its turn comes.
        """
        if len(targets) != 1:
            return cls()
        try:
            profile = patient(load_profile(targets[0]), policy)
        except UsageError:
            return cls()
        return cls(profile if has_cores(profile) else None, probes=probes)

    def __enter__(self) -> Self:
        if self._coming:
            # A daemon: who interrupts the command does not wait for it, and a probe ends with its streams.
            start = contextvars.copy_context().run
            threading.Thread(target=start, args=(_start, self._profile, [*self._coming]), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for coming in self._coming:
            if not coming.cancel():
                coming.add_done_callback(_end)

    @contextmanager
    def open(self, profile: TargetProfile) -> Iterator[AnyProbe]:
        """A probe of the profile: one that was started ahead, if there is one, else another.

        Raises:
            MeasurementError: see `open_target`.
        """
        self._coming = [coming for coming in self._coming if not coming.cancel()]
        if not self._coming or profile != self._profile:
            with open_target(profile) as probe:
                yield probe
            return
        probe, own = self._coming[0].result()
        self._coming.pop(0)
        with own:
            yield probe


NOTHING_AHEAD = Ahead()


def _start(profile: TargetProfile, probes: list[Coming]) -> None:
    for coming in probes:
        if not coming.set_running_or_notify_cancel():
            return
        with ExitStack() as stack:
            try:
                probe = stack.enter_context(open_target(profile))
            except BaseException as error:
                coming.set_exception(error)
                return
            coming.set_result((probe, stack.pop_all()))


def _end(coming: Coming) -> None:
    if coming.exception() is None:
        coming.result()[1].close()
