"""LiteRT (TensorFlow Lite) on a device's processor."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefair.errors import EdgefairError, ModelError
from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes.litert import INSTALL, PACKAGE, check_used, settings
from edgefair.targets.fault import Fault
from edgefair.targets.loaded import LoadedModel
from edgefair.targets.runtimes.base import HostRuntime, Kernels

LITERT = Kernels("LiteRT")


@dataclass(frozen=True)
class LiteRt(HostRuntime):
    """See `HostRuntime`."""

    def kernels(self, providers: Sequence[str]) -> Kernels:
        """Its own, and XNNPACK's."""
        return LITERT

    def check_config(self, config: Mapping[str, str]) -> None:
        """Whose kernels."""
        try:
            settings(config)
        except ProbeError as error:
            raise ValueError(str(error)) from error

    def lacks(self, session: Mapping[str, Any]) -> str | None:
        """Its package."""
        found = importlib.util.find_spec("ai_edge_litert")
        return None if found else f"LiteRT is not installed: pip install {PACKAGE}"

    def missing(self, device: Mapping[str, Any]) -> Fault | None:
        """Its package."""
        return None if self.name in device else Fault("LiteRT is not installed on the device", fix=INSTALL)

    def elsewhere(self, model: LoadedModel, providers: Sequence[str]) -> Fault | None:
        """By kernels that the device does not name."""
        return None if model.engine else Fault("the device does not say whose kernels run the model")

    def unlike_asked(self, model: LoadedModel, config: Mapping[str, str]) -> Fault | None:
        """By other kernels."""
        try:
            check_used(model.engine, settings(config))
        except ProbeError as error:
            return Fault(str(error), expected="the kernels that the profile names")
        return None

    def told(self, model: LoadedModel) -> tuple[str, ...]:
        """Which inputs and outputs the device turns into whole numbers and back."""
        held = model.engine["quantized"]
        return (f"quantized and dequantized on the device, by the file's own parameters: {held}",) if held else ()

    def unloadable(self, path: Path, why: str, *, target: str, device: Mapping[str, Any]) -> EdgefairError:
        """The model is to blame."""
        return ModelError(
            f"'{path}' cannot be loaded by LiteRT {device.get(self.name, '')}: {why}",
            expected="a complete TFLite file of operators that LiteRT has by itself (no Flex, no custom ones)",
            fix="convert it again",
        )


RUNTIME = LiteRt(
    "litert",
    identity=("litert",),
    engine_facts={"kernels": str, "quantized": str},
    engine_identity=("kernels",),
    engine_shown=("kernels",),
    packages=("onnxruntime", PACKAGE),
)
