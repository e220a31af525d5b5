"""Ways to reach a machine, one file each: this one, ssh, a container, an emulated processor.

A transport starts the probe and provides its pipes; the protocol is the same for all.
"""

from __future__ import annotations

import importlib

from edgefair.targets.transports.base import Transport

# Every transport, by the name of its module here; each holds a TRANSPORT.
NAMES = ("local", "qemu", "ssh", "container")


def transport_named(name: str) -> type[Transport]:
    """A way to reach machines."""
    found: type[Transport] = importlib.import_module(f"{__name__}.{name}").TRANSPORT
    return found
