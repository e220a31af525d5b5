"""A device says what it is, and it is found to be what its profile says."""

from __future__ import annotations

from typing import Any

from edgefair.probe.wire import PROTOCOL
from edgefair.targets.connection import Connection
from edgefair.targets.fault import Fault
from edgefair.targets.fingerprint import checked_machine
from edgefair.targets.profile import TargetProfile


def introduced(connection: Connection, profile: TargetProfile) -> dict[str, Any]:
    """The fingerprint of the device at the other end.

    Raises:
        MeasurementError: it speaks another protocol, describes no machine, or is not what the profile says.
        DroppedError: the connection broke.
    """
    reply, _ = connection.ask({"do": "hello", "emulated": profile.emulated})
    if reply.get("protocol") != PROTOCOL:
        raise connection.failed(f"the probe speaks protocol {reply.get('protocol')}", expected=f"protocol {PROTOCOL}")
    try:
        device = checked_machine(reply.get("device"))
    except ValueError as error:
        raise connection.failed(f"the device's description of itself is invalid: {error}") from error
    refuse(connection, profile.host_runtime.missing(device))
    refuse(connection, profile.device.mismatch(device))
    return device


def refuse(connection: Connection, fault: Fault | None) -> None:
    """Raise what a device is found to be at fault with, if it is."""
    if fault is not None:
        raise connection.failed(fault.found, expected=fault.expected, fix=fault.fix)
