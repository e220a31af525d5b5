"""What runs a model on the device, one file a runtime. The host's side is `edgefair.targets.runtimes`."""

import importlib
from typing import Tuple

from edgefair.probe.formats.base import FileFormat
from edgefair.probe.runtimes.base import Runtime

# Every runtime, by the name of its module here and in `edgefair.targets.runtimes`; each holds a RUNTIME.
NAMES: Tuple[str, ...] = ("onnxruntime", "tensorrt", "openvino", "litert", "executorch", "onnxruntime_web")


def runtime_named(name: str) -> Runtime:
    """The device's side of a runtime. Its module imports the runtime's own package when that is asked for, not before.

    Raises:
        ValueError: there is no such runtime.
    """
    if name not in NAMES:
        raise ValueError(f"runtime '{name}' is none of {', '.join(NAMES)}")
    runtime: Runtime = importlib.import_module(f"{__name__}.{name}").RUNTIME
    return runtime


def opens_bundles(name: str) -> bool:
    """Whether a device can load a bundle's model with the runtime of this name, if there is one."""
    return name in NAMES and runtime_named(name).opens_bundles


def runtime_for(kind: FileFormat) -> str:
    """The name of the first runtime of the table that runs files of a format."""
    return next(name for name in NAMES if runtime_named(name).format is kind)
