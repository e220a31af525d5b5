"""Machines that run models: their profiles, the ways to reach them, and what is asked of them there."""

from __future__ import annotations

from edgefair.targets.any_probe import AnyProbe
from edgefair.targets.client import Probe
from edgefair.targets.loaded import LoadedModel
from edgefair.targets.pools.pool import Pool
from edgefair.targets.profile import TargetProfile, load_profile
from edgefair.targets.transports import transport_named
from edgefair.targets.transports.base import HERE, Transport, Way


def open_target(profile: TargetProfile, *, timeout_s: float = 600.0) -> AnyProbe:
    """A probe on the profile's machine, or on those of a pool, to be used as a context manager.

    Args:
        timeout_s: longest silence of the device before it counts as lost.

    Raises:
        MeasurementError: a container's image or its engine is not there.
    """
    way = transport_of(profile)
    if isinstance(way, Transport):
        return _probe(profile, way, timeout_s)
    ways = [(item, transport_of(item)) for item in profile.load_members()]
    probes = [_probe(item, own, timeout_s) for item, own in ways if isinstance(own, Transport)]
    return Pool(profile, probes, frozenset(item.name for item, own in ways if HERE in own.machine_keys))


def _probe(profile: TargetProfile, way: Transport, timeout_s: float) -> Probe:
    """A probe that finds what its way found: an image's id stays the one of the first start."""
    return Probe(profile.model_copy(update=way.identified()), way, timeout_s=timeout_s)


def transport_of(profile: TargetProfile) -> Way:
    """The way to the profile's machine, or to those of a pool; nothing is started."""
    return transport_named(profile.transport)(profile)


__all__ = [
    "AnyProbe",
    "LoadedModel",
    "Probe",
    "TargetProfile",
    "Transport",
    "Way",
    "load_profile",
    "open_target",
    "transport_of",
]
