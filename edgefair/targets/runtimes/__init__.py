"""The host's side of a runtime, one file each. Their table is `edgefair.probe.runtimes`, for both sides."""

from __future__ import annotations

import importlib

from edgefair.probe.runtimes import NAMES
from edgefair.targets.runtimes.base import HostRuntime, Kernels

DEFAULT = "onnxruntime"


def host_runtime(name: str) -> HostRuntime:
    """What the host knows of a runtime.

    Raises:
        ValueError: there is no such runtime.
    """
    if name not in NAMES:
        raise ValueError(f"runtime '{name}' is none of {', '.join(NAMES)}")
    runtime: HostRuntime = importlib.import_module(f"{__name__}.{name}").RUNTIME
    return runtime


__all__ = ["DEFAULT", "HostRuntime", "Kernels", "host_runtime"]
