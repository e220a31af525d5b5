"""Ways to reach a machine, one file each: this one, ssh, a container, an emulated processor; and several of them.

A transport starts the probe and provides its pipes; the protocol is the same for all. A pool starts nothing itself.
"""

from __future__ import annotations

import importlib

from edgefair.targets.transports.base import Way

# Every transport, by the name of its module here; each holds a TRANSPORT.
NAMES = ("local", "qemu", "ssh", "container", "pool")


def transport_named(name: str) -> type[Way]:
    """A way to reach machines."""
    found: type[Way] = importlib.import_module(f"{__name__}.{name}").TRANSPORT
    return found
