"""onnxruntime, with whatever execution providers a profile names."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgefair.errors import EdgefairError, MeasurementError
from edgefair.probe.runtimes.cuda import CudaError, first_device
from edgefair.probe.runtimes.onnxruntime import ON_CUDA, check_entries
from edgefair.probe.runtimes.providers.advice import advice
from edgefair.probe.runtimes.providers.placement import misplaced
from edgefair.probe.runtimes.providers.settings import CPU, PACKAGES, providers_of
from edgefair.targets import support
from edgefair.targets.fault import Fault
from edgefair.targets.loaded import LoadedModel
from edgefair.targets.runtimes.base import HostRuntime, Kernels
from edgefair.targets.runtimes.tensorrt import TENSORRT
from edgefair.targets.support import Support

OWN = Kernels("onnxruntime")
# Compiles the graph when it loads it; a batch is run row by row, on a simulator in half a second each.
QNN = Kernels("QNN", lacks=frozenset({"dynamic", "w4"}), support=support.QNN, build_s=3600.0)
OPENVINO = Kernels("OpenVINO", build_s=600.0)
# Execution providers that hand the graph to somebody else's kernels, for whom the file must be made.
OTHERS = {
    "TensorrtExecutionProvider": TENSORRT,
    "NvTensorRTRTXExecutionProvider": TENSORRT,
    "QNNExecutionProvider": QNN,
    "OpenVINOExecutionProvider": OPENVINO,
}
# Threads of a model that has its answer stop spinning: the next model needs their cores.
SLEEP_BETWEEN_RUNS = {"session.force_spinning_stop": "1"}


@dataclass(frozen=True)
class OnnxRuntime(HostRuntime):
    """See `HostRuntime`."""

    def kernels(self, providers: Sequence[str]) -> Kernels:
        """Those of the first provider that brings its own, else onnxruntime's."""
        return next((OTHERS[name] for name in providers if name in OTHERS), OWN)

    def support(self, providers: Sequence[str]) -> Support:
        """What the first provider does not take goes to the next."""
        own = self.kernels(providers).support
        return own.beside_others() if len(providers) > 1 else own

    def runs_on(self, providers: Sequence[str]) -> str:
        """The first provider."""
        return providers[0]

    def check_config(self, config: Mapping[str, str]) -> None:
        """Session entries that could bring in bytes which the model's digest does not cover are refused."""
        check_entries(config)

    def check_session(self, session: Mapping[str, Any]) -> None:
        """Options of providers that could bring in bytes which the model's digest does not cover are refused."""
        providers_of(session)

    def config(self, given: Mapping[str, str], *, threads: int) -> dict[str, str]:
        """Session entries."""
        return {**(SLEEP_BETWEEN_RUNS if threads > 1 else {}), **given}

    def lacks(self, session: Mapping[str, Any]) -> str | None:
        """Execution providers, the packages of plugins, and the driver that they need."""
        import onnxruntime

        providers = providers_of(session)
        for item in providers:
            package = item.settings.package
            if package is not None and importlib.util.find_spec(package) is None:
                return f"{PACKAGES[package]} is not installed: pip install {PACKAGES[package]}"
            if item.settings.library is not None and not Path(item.settings.library).is_file():
                return f"there is no library '{item.settings.library}'"
        available = onnxruntime.get_available_providers()
        missing = [item.name for item in providers if not item.settings.is_plugin and item.name not in available]
        if missing:
            return f"the installed onnxruntime has no {', '.join(missing)}: {advice(missing[0])}"
        if any(item.name in ON_CUDA for item in providers):
            try:
                first_device()
            except CudaError as error:
                return str(error)
        return None

    def missing(self, device: Mapping[str, Any]) -> Fault | None:
        """onnxruntime itself."""
        if self.name in device:
            return None
        return Fault(
            "the Python that runs the probe has no onnxruntime",
            fix="install it there, or set another Python or image in the profile",
        )

    def elsewhere(self, model: LoadedModel, providers: Sequence[str]) -> Fault | None:
        """On other providers, or with nodes of the graph on others."""
        absent = [name for name in providers if name not in model.providers]
        others = [name for name in model.providers if name not in {*providers, CPU}]
        if not absent and not others:
            fault = misplaced(model.engine.get("nodes", {}), list(providers))
            return None if fault is None else Fault(fault)
        return Fault(
            f"the runtime runs '{model.path}' on {', '.join(model.providers) or 'nothing'}",
            expected=f"{', '.join(providers)}, as the profile requires",
            fix="install an onnxruntime that has it on the device, or change `providers` in the profile",
        )

    def unloadable(self, path: Path, why: str, *, target: str, device: Mapping[str, Any]) -> EdgefairError:
        """The model is to blame, unless the device's runtime is older than the one that made or checked it here."""
        here, there = version(self.name), device.get(self.name)
        if there is None or _release(str(there)) >= _release(here):
            return super().unloadable(path, why, target=target, device=device)
        return MeasurementError(
            f"target '{target}': its onnxruntime {there} cannot load '{path}': {why}",
            expected=f"a runtime that knows the model's operators; this machine has {here}",
            fix="install a newer onnxruntime on the device",
        )


def _texts(said: Any) -> dict[str, dict[str, str]]:
    return {str(name): {str(key): str(text) for key, text in own.items()} for name, own in dict(said).items()}


def _counts(said: Any) -> dict[str, int]:
    return {str(name): int(count) for name, count in dict(said).items()}


RUNTIME = OnnxRuntime(
    "onnxruntime",
    identity=("onnxruntime",),
    engine_facts={"providers": _texts, "nodes": _counts},
    engine_identity=("providers",),
)


def _release(text: str) -> tuple[int, ...]:
    """A version's numbers: '1.20.1rc1' is (1, 20, 1)."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
