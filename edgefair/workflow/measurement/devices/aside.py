"""A second probe on this machine, so that two models can decide the same rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgefair.data.files.lazy import makers
from edgefair.targets import AnyProbe, Probe, Transport, open_target, transport_of
from edgefair.targets.running import PLAIN
from edgefair.targets.transports.base import HERE

# Fewer batches than these are decided before a second probe has started.
MANY_BATCHES = 8


@contextmanager
def aside(probe: AnyProbe, batches: float) -> Iterator[AnyProbe]:
    """A probe for the model beside the one that is judged: another one where this machine has cores for both, else the
    same. It ends with the block, so that no clock runs beside it.

    Args:
        batches: of rows that both shall decide.

    Raises:
        MeasurementError: it does not start.
    """
    if batches < MANY_BATCHES or not _has_cores(probe):
        yield probe
        return
    with open_target(probe.profile) as other:
        yield other


def _has_cores(probe: AnyProbe) -> bool:
    """Whether it is a process of this machine, on processor cores of which there are as many again."""
    profile = probe.profile
    way = transport_of(profile)
    here = isinstance(probe, Probe) and isinstance(way, Transport) and way.shares_files and way.machine_key == HERE
    on_cores = profile.facts["session"].get("providers") == PLAIN["providers"]
    return here and on_cores and makers() >= 2 * profile.threads
