"""Ways to reach a machine, by name. The table is data: listing it imports nothing."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from edgefair.targets.client import Probe
from edgefair.targets.loaded import LoadedModel
from edgefair.targets.profile import TargetProfile, load_profile
from edgefair.targets.transports.base import Transport

TRANSPORTS: Mapping[str, str] = {
    "container": "edgefair.targets.transports.container:ContainerTransport",
    "local": "edgefair.targets.transports.local:LocalTransport",
    "qemu": "edgefair.targets.transports.qemu:QemuTransport",
    "ssh": "edgefair.targets.transports.ssh:SshTransport",
}


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
    module, _, name = TRANSPORTS[profile.transport].partition(":")
    transport: Transport = getattr(importlib.import_module(module), name)(profile)
    return transport


__all__ = [
    "TRANSPORTS",
    "LoadedModel",
    "Probe",
    "TargetProfile",
    "Transport",
    "load_profile",
    "open_target",
    "transport_of",
]
