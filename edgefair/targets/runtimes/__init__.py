"""The host's side of a runtime, one file each. Their table is `edgefair.probe.runtimes`, for both sides."""

from __future__ import annotations

import importlib

from edgefair.probe.runtimes import NAMES
from edgefair.targets.runtimes.base import HostRuntime, Kernels

DEFAULT = "onnxruntime"


def host_runtime(name: str) -> HostRuntime:
    """What the host knows of a runtime of the table."""
    runtime: HostRuntime = importlib.import_module(f"{__name__}.{name}").RUNTIME
    return runtime


def reader_of(content: bytes) -> HostRuntime:
    """The first runtime of the table that runs files which begin so."""
    return next(runtime for runtime in map(host_runtime, NAMES) if runtime.reads(content))


__all__ = ["DEFAULT", "HostRuntime", "Kernels", "host_runtime", "reader_of"]
