"""Machines that run models: their profiles, the ways to reach them, and what is asked of them there."""

from __future__ import annotations

from edgefair.targets.client import Probe
from edgefair.targets.loaded import LoadedModel
from edgefair.targets.profile import TargetProfile, load_profile
from edgefair.targets.transports import transport_named
from edgefair.targets.transports.base import Transport


def open_target(profile: TargetProfile, *, timeout_s: float = 600.0) -> Probe:
    """A probe on the profile's machine, to be used as a context manager.

    Args:
        timeout_s: longest silence of the device before it counts as lost.

    Raises:
        MeasurementError: a container's image or its engine is not there.
    """
    transport = transport_of(profile)
    return Probe(transport.identified(), transport, timeout_s=timeout_s)


def transport_of(profile: TargetProfile) -> Transport:
    """The way to the profile's machine; nothing is started."""
    return transport_named(profile.transport)(profile)


__all__ = [
    "LoadedModel",
    "Probe",
    "TargetProfile",
    "Transport",
    "load_profile",
    "open_target",
    "transport_of",
]
