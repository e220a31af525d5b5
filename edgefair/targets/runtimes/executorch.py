"""ExecuTorch, by the backends that a program was lowered to."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefair.errors import EdgefairError, ModelError
from edgefair.probe.runtimes.executorch import INSTALL
from edgefair.targets.fault import Fault
from edgefair.targets.loaded import LoadedModel
from edgefair.targets.runtimes.base import HostRuntime, Kernels

EXECUTORCH = Kernels("ExecuTorch")


@dataclass(frozen=True)
class ExecuTorch(HostRuntime):
    """See `HostRuntime`."""

    def kernels(self, providers: Sequence[str]) -> Kernels:
        """Its own, and those of its backends."""
        return EXECUTORCH

    def check_config(self, config: Mapping[str, str]) -> None:
        """There are no settings."""
        if config:
            raise ValueError(f"config '{min(config)}': ExecuTorch has no settings, a program is compiled already")

    def lacks(self, session: Mapping[str, Any]) -> str | None:
        """Its package."""
        found = importlib.util.find_spec("executorch")
        return None if found else "ExecuTorch is not installed: pip install executorch"

    def missing(self, device: Mapping[str, Any]) -> Fault | None:
        """Its package."""
        return None if self.name in device else Fault("ExecuTorch is not installed on the device", fix=INSTALL)

    def elsewhere(self, model: LoadedModel, providers: Sequence[str]) -> Fault | None:
        """By backends that the device does not name."""
        return None if model.engine else Fault("the device does not say which backends run the program")

    def unloadable(self, path: Path, why: str, *, target: str, device: Mapping[str, Any]) -> EdgefairError:
        """The model is to blame."""
        return ModelError(
            f"'{path}' cannot be loaded by ExecuTorch {device.get(self.name, '')}: {why}",
            expected="a complete program with the method forward, of operators and backends that this ExecuTorch has",
            fix="export it again with the same version of executorch",
        )


RUNTIME = ExecuTorch(
    "executorch",
    identity=("executorch",),
    engine_facts={"backends": str},
    engine_identity=("backends",),
    engine_shown=("backends",),
    packages=("onnxruntime", "executorch"),
)
