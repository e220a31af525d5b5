"""Targets of this machine that stay open from one question to the next: starting one takes longer than most answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from edgefair.targets import AnyProbe, Probe, TargetProfile, Transport, open_target, transport_of
from edgefair.targets.transports.base import HERE


class KeptTargets:
    """Opens targets, and keeps those of this machine until they are let go, at the latest at its end.

    A device elsewhere is let go after each use, and so is what keeps an engine of a model. What a verdict is measured
    with is no question on the way, and has a probe of its own (`open_target`).

    Args:
        keep: whether any is kept; those of one that is no context manager nobody lets go.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self._keeps = keep
        self._idle: dict[str, tuple[Probe, ExitStack]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeps = False
        self.let_go()

    def let_go(self) -> None:
        """End the probes that wait for a question."""
        while self._idle:
            _, (_, stack) = self._idle.popitem()
            stack.close()

    @contextmanager
    def open(self, profile: TargetProfile) -> Iterator[AnyProbe]:
        """A probe on the profile's machine, as it is after its start.

        Raises:
            MeasurementError: see `open_target`.
        """
        key = profile.model_dump_json()
        kept = self._idle.pop(key, None)
        with ExitStack() as stack:
            probe: AnyProbe
            if kept is None:
                probe = stack.enter_context(open_target(profile))
            else:
                probe, own = kept
                stack.push(own)
            yield probe
            again = self._keeps and key not in self._idle and _stays(profile)
            if again and isinstance(probe, Probe) and probe.begin_anew():
                self._idle[key] = probe, stack.pop_all()


def _stays(profile: TargetProfile) -> bool:
    """Whether a target disturbs nobody while it waits."""
    transport = transport_of(profile)
    here = isinstance(transport, Transport) and transport.shares_files and transport.machine_key == HERE
    return here and not profile.host_runtime.keeps_engine
