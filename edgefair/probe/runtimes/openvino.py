"""OpenVINO by itself: an ONNX model compiled for one device, in the precision that was asked for and no other."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
import re
import sys
from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple

import numpy as np

from edgefair.probe.errors import ProbeError, error_kind
from edgefair.probe.formats.base import FileFormat
from edgefair.probe.formats.onnx import FORMAT as ONNX
from edgefair.probe.onnx_files.onnx_file import read_onnx
from edgefair.probe.runtimes.ports import PortedSession, port

INSTALL = "`pip install openvino` (edgefair[openvino]) for the Python that runs the probe"
DEVICES, PRECISIONS = re.compile(r"CPU|NPU|GPU(\.[0-9]+)?"), ("f32", "f16", "bf16")
SETTINGS = {"device": "CPU", "precision": "f32"}
# OpenVINO's names of types, with numpy's.
TYPES = {
    "f32": "float32", "f64": "float64", "f16": "float16", "i64": "int64", "i32": "int32", "i16": "int16", "i8": "int8",
    "u64": "uint64", "u32": "uint32", "u16": "uint16", "u8": "uint8", "boolean": "bool",
}  # fmt: skip
# Precisions in which less is left of a number than the model's file says.
REDUCED = frozenset(["f16", "bf16"])
# What an exception of OpenVINO's begins with: places in its source.
PLACES = ("Exception from ", "Check '")


class OpenVino:
    """OpenVINO 2026.4 and later, without onnxruntime. See `probe.runtimes.base.Runtime`."""

    format: FileFormat = ONNX
    levels: Sequence[str] = ("all",)
    opens_bundles: bool = True

    def facts(self) -> Dict[str, Any]:
        """Its version, as its package says."""
        try:
            return {"openvino": importlib.metadata.version("openvino")}
        except importlib.metadata.PackageNotFoundError:
            return {}

    def open(self, content: bytes, options: Mapping[str, Any]) -> Tuple["OpenVinoSession", Dict[str, Any]]:
        """Compile the model for one device.

        options["config"], both optional:
            device: CPU (if absent), GPU, GPU.1, ..., NPU. No AUTO, MULTI or HETERO: they choose by themselves.
            precision: of sums that the file has in f32: f32 (if absent), f16 or bf16. OpenVINO's own default is bf16
                on processors that have it.

        Raises:
            ProbeError: `no_runtime` without OpenVINO or the device, or where it would run on another device or in
                another precision; `invalid_graph` where it cannot compile the model; `bad_request` for other settings.
        """
        device, precision = settings(options["config"])
        if options["optimization"] != "all":
            raise ProbeError("bad_request", f"optimization is '{options['optimization']}', and OpenVINO has no levels")
        # On its import OpenVINO otherwise keeps an id of the device in its user's home and calls home, from a process
        # that is forked beside running threads and may never end. Without that package it does neither.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        try:
            ov: Any = importlib.import_module("openvino")
        except Exception as error:
            how = "is not installed" if isinstance(error, ModuleNotFoundError) else "cannot be imported"
            raise ProbeError("no_runtime", f"OpenVINO {how} on the device ({error}): {INSTALL}") from error
        core = ov.Core()
        if device not in core.available_devices and f"{device}.0" not in core.available_devices:
            raise ProbeError(
                "no_runtime",
                f"OpenVINO {ov.__version__} finds no {device}, only {', '.join(core.available_devices)}: "
                "install its driver, or change `config: {device: ...}` in the profile",
            )
        try:
            model = core.read_model(content)
            compiled = core.compile_model(model, device, _properties(device, precision, int(options["threads"])))
            own = {str(item.get_element_type().get_type_name()) for op in model.get_ops() for item in op.outputs()}
            facts = _facts(ov, compiled, own)
            check_used(facts, device, precision)
            if device == "CPU":
                check_threads(int(compiled.get_property("INFERENCE_NUM_THREADS")), int(options["threads"]))
            return OpenVinoSession(compiled, content, f"{facts['device']} {facts['precision']}"), facts
        except ProbeError:
            raise
        except Exception as error:
            raise ProbeError(error_kind(error, "invalid_graph"), said(error)) from error


RUNTIME = OpenVino()


class OpenVinoSession(PortedSession):
    """A compiled model and its one request."""

    def __init__(self, compiled: Any, content: bytes, on: str) -> None:
        file = read_onnx(content)
        inputs = [_port(compiled.input(item["name"]), item["name"]) for item in file.inputs]
        outputs = [_port(compiled.output(item["name"]), item["name"]) for item in file.outputs]
        super().__init__(inputs, outputs, file.metadata, on)
        self._request = compiled.create_infer_request()

    def run(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """The named outputs of a batch.

        Raises:
            ValueError: inputs that the model does not take.
            RuntimeError: it fails.
        """
        self.check(names, inputs)
        try:
            results = self._request.infer(dict(inputs), share_inputs=True)
        except RuntimeError as error:
            raise RuntimeError(said(error)) from error
        return [results[self.outputs[name].place] for name in names]


def settings(config: Mapping[str, str]) -> Tuple[str, str]:
    """Device and precision.

    Raises:
        ProbeError: `bad_request`, for other settings.
    """
    unknown = sorted(set(config) - set(SETTINGS))
    if unknown:
        raise ProbeError("bad_request", f"config '{unknown[0]}' is not an OpenVINO setting: {', '.join(SETTINGS)}")
    asked = {**SETTINGS, **config}
    if not DEVICES.fullmatch(asked["device"]):
        raise ProbeError("bad_request", f"config device is '{asked['device']}', not CPU, GPU, GPU.1, ... or NPU")
    if asked["precision"] not in PRECISIONS:
        raise ProbeError("bad_request", f"config precision is '{asked['precision']}', not {', '.join(PRECISIONS)}")
    return asked["device"], asked["precision"]


def _properties(device: str, precision: str, threads: int) -> Dict[str, Any]:
    """Of one query at a time; the probe pins the threads, OpenVINO does not."""
    wanted = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    if device != "CPU":
        return wanted
    return {**wanted, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}


def _facts(ov: Any, compiled: Any, own: Set[str]) -> Dict[str, Any]:
    """What was compiled: for which device, in which precisions, by which kernels.

    own: the types that the file itself has; `reduced` are those of fewer bits that it has not.
    """
    try:
        nodes = [op.get_rt_info() for op in compiled.get_runtime_model().get_ordered_ops()]
    except RuntimeError:
        nodes = []  # some devices do not show it
    keys = ("layerType", "primitiveType", "runtimePrecision", "outputPrecisions")
    kernels = [[str(node[key].astype(str)) if key in node else "" for key in keys] for node in nodes]
    hint = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    precisions = {node[2] for node in kernels} - {"", "dynamic", "undefined"}
    listed = json.dumps(kernels).encode()
    return {
        "openvino": str(ov.__version__),
        "device": ", ".join(compiled.get_property("EXECUTION_DEVICES")),
        "precision": str(hint),
        "precisions": " ".join(sorted(precisions)),
        "reduced": " ".join(sorted((precisions & REDUCED) - own)),
        "kernels": hashlib.sha256(listed).hexdigest() if kernels else "",
    }


def check_used(facts: Mapping[str, Any], device: str, precision: str) -> None:
    """Refuse another device or precision than was asked for.

    facts: of what was compiled.

    Raises:
        ProbeError: `no_runtime`, with what it runs on or in.
    """
    if any(device not in (name, name.partition(".")[0]) for name in facts["device"].split(", ")):
        raise ProbeError("no_runtime", f"OpenVINO runs the model on {facts['device']}, and the profile says {device}")
    other = sorted(set(facts["reduced"].split()) - {precision})
    if facts["precision"] != precision or other:
        raise ProbeError(
            "no_runtime",
            f"OpenVINO computes in {', '.join(other) or facts['precision']} on {facts['device']}, and the "
            f"profile says {precision}: change `config: {{precision: ...}}` if that is what devices shall do",
        )


def check_threads(used: int, asked: int) -> None:
    """Refuse fewer threads than was asked for: OpenVINO takes no more than there are cores.

    Raises:
        ProbeError: `no_runtime`.
    """
    if used != asked:
        raise ProbeError("no_runtime", f"OpenVINO runs {used} threads, and the profile says {asked}: change `threads`")


def said(error: Exception) -> str:
    """What an exception of OpenVINO's says, without the places in its source that it begins with."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(PLACES)]
    return " ".join(told[:4]) or type(error).__name__


def _port(found: Any, name: str) -> Any:
    kind = str(found.get_element_type().get_type_name())
    if kind not in TYPES:
        raise ProbeError("invalid_graph", f"'{name}' is {kind}, which is not supported")
    shape = [size.get_length() if size.is_static else None for size in found.get_partial_shape()]
    return port(name, TYPES[kind], shape, place=found)
