"""A second probe on this machine, so that two models can decide the same rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from edgefair.data.files.lazy import makers
from edgefair.targets import AnyProbe, TargetProfile, Transport, transport_of
from edgefair.targets.running import PLAIN
from edgefair.targets.transports.base import HERE

# Fewer batches than these are decided before a second probe has started.
MANY_BATCHES = 8

Opening = Callable[[TargetProfile], AbstractContextManager[AnyProbe]]


@contextmanager
def aside(probe: AnyProbe, batches: float, opening: Opening) -> Iterator[AnyProbe]:
    """A probe for the model beside the one that is judged: another one where this machine has cores for both, else the
    same. It ends with the block, so that no clock runs beside it.

    Args:
        batches: of rows that both shall decide.
        opening: how another is come by.

    Raises:
        MeasurementError: it does not start.
    """
    if batches < MANY_BATCHES or not has_cores(probe.profile):
        yield probe
        return
    with opening(probe.profile) as other:
        yield other


def has_cores(profile: TargetProfile) -> bool:
    """Whether its probe is a process of this machine, on processor cores of which there are as many again."""
    way = transport_of(profile)
    here = isinstance(way, Transport) and way.shares_files and way.machine_key == HERE
    on_cores = profile.facts["session"].get("providers") == PLAIN["providers"]
    return here and on_cores and makers() >= 2 * profile.threads
