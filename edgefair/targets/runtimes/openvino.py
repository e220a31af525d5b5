"""OpenVINO by itself. Behind a provider of onnxruntime's it is another runtime, with other decisions."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefair.errors import EdgefairError, ModelError
from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes.openvino import INSTALL, check_used, settings
from edgefair.targets.fault import Fault
from edgefair.targets.loaded import LoadedModel
from edgefair.targets.runtimes.base import HostRuntime, Kernels

OPENVINO = Kernels("OpenVINO")


@dataclass(frozen=True)
class OpenVino(HostRuntime):
    """See `HostRuntime`."""

    def kernels(self, providers: Sequence[str]) -> Kernels:
        """Its own."""
        return OPENVINO

    def lacks(self, session: Mapping[str, Any]) -> str | None:
        """Its package."""
        return None if importlib.util.find_spec("openvino") else "OpenVINO is not installed: pip install openvino"

    def check_config(self, config: Mapping[str, str]) -> None:
        """Device and precision."""
        try:
            settings(config)
        except ProbeError as error:
            raise ValueError(str(error)) from error

    def missing(self, device: Mapping[str, Any]) -> Fault | None:
        """Its package."""
        return None if self.name in device else Fault("OpenVINO is not installed on the device", fix=INSTALL)

    def elsewhere(self, model: LoadedModel, providers: Sequence[str]) -> Fault | None:
        """By nothing that was compiled."""
        return None if model.engine else Fault("the device compiled nothing", expected="a model compiled by OpenVINO")

    def unlike_asked(self, model: LoadedModel, config: Mapping[str, str]) -> Fault | None:
        """On another device or in another precision."""
        try:
            check_used(model.engine, *settings(config))
        except ProbeError as error:
            return Fault(str(error), expected="the device and precision that the profile names")
        return None

    def unloadable(self, path: Path, why: str, *, target: str, device: Mapping[str, Any]) -> EdgefairError:
        """The model is to blame."""
        return ModelError(
            f"'{path}' cannot be compiled by OpenVINO {device.get(self.name, '')}: {why}",
            expected="a graph of operators that OpenVINO supports",
            fix="export it without the operators that are named, or measure on a target of another runtime",
        )


RUNTIME = OpenVino(
    "openvino",
    identity=("openvino",),
    engine_facts={
        "openvino": str,
        "device": str,
        "precision": str,
        "precisions": str,
        "reduced": str,
        "kernels": str,
    },
    engine_identity=("openvino", "device", "precision", "precisions", "kernels"),
    engine_shown=("device", "precision"),
    packages=("onnxruntime", "openvino"),
)
