"""TensorRT: by itself, or behind a provider of onnxruntime's (its `TENSORRT`)."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefair.errors import EdgefairError, ModelError
from edgefair.probe.runtimes.cuda import CudaError, first_device
from edgefair.targets import support
from edgefair.targets.fault import Fault
from edgefair.targets.loaded import LoadedModel
from edgefair.targets.runtimes.base import HostRuntime, Kernels

TENSORRT = Kernels(
    "TensorRT",
    recipe={"runtime": "tensorrt", "activations": "int8-symmetric"},
    lacks=frozenset({"dynamic", "a16w8", "w4"}),
    unsigned_weights=False,
    support=support.TENSORRT,
    build_s=3600.0,
)


@dataclass(frozen=True)
class TensorRt(HostRuntime):
    """See `HostRuntime`."""

    def kernels(self, providers: Sequence[str]) -> Kernels:
        """Its own."""
        return TENSORRT

    def lacks(self, session: Mapping[str, Any]) -> str | None:
        """Its package, or a GPU with its driver."""
        if importlib.util.find_spec("tensorrt") is None:
            return "TensorRT is not installed: see docs/tensorrt.md"
        try:
            first_device()
        except CudaError as error:
            return str(error)
        return None

    def elsewhere(self, model: LoadedModel, providers: Sequence[str]) -> Fault | None:
        """Not by an engine."""
        return None if model.engine else Fault("the device built no engine", expected="one, as the profile requires")

    def unloadable(self, path: Path, why: str, *, target: str, device: Mapping[str, Any]) -> EdgefairError:
        """The model is to blame."""
        return ModelError(
            f"'{path}' cannot be loaded by TensorRT: {why}",
            expected="a graph of operators that TensorRT supports, with symmetric INT8 if any",
            fix=f"export it with --target {target}, so that it is made for TensorRT",
        )


RUNTIME = TensorRt(
    "tensorrt",
    identity=("tensorrt",),
    engine_facts={
        "sha256": str,
        "bytes": int,
        "tensorrt": str,
        "device": str,
        "compute_capability": str,
        "cuda_driver": str,
        "max_rows": int,
    },
    engine_identity=("tensorrt", "device", "compute_capability", "cuda_driver"),
    engine_shown=("device",),
    keeps_engine=True,
)
