"""An ONNX model as a TensorRT engine, built on the device that runs it, with the interface of onnxruntime's session."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edgefair.probe.errors import ProbeError
from edgefair.probe.onnx_files.onnx_file import read_onnx
from edgefair.probe.runtimes.cuda import CudaError, Device
from edgefair.probe.runtimes.engine_build import Build, open_log, start, write

MAJORS = ("10", "11")
INSTALL = (
    "`pip install tensorrt` (edgefair[tensorrt]) for the Python that runs the probe; on a Jetson JetPack's own "
    "(`apt install python3-libnvinfer`, and a virtual environment made with --system-site-packages)"
)
# TensorRT's names of the types that the protocol carries, with onnxruntime's names and numpy's.
TYPES = {
    "FLOAT": ("tensor(float)", np.float32), "HALF": ("tensor(float16)", np.float16), "INT8": ("tensor(int8)", np.int8),
    "UINT8": ("tensor(uint8)", np.uint8), "INT32": ("tensor(int32)", np.int32), "INT64": ("tensor(int64)", np.int64),
    "BOOL": ("tensor(bool)", np.bool_),
}  # fmt: skip
SETTINGS = ("timing_cache", "engines", "max_rows")
# Rows that run at once. Kernels are chosen for one row, as queries come on the device.
MAX_ROWS = 64


def open_engine(content: bytes, options: Mapping[str, Any]) -> "Engine":
    """Build an engine from an ONNX model with explicit types and Q/DQ pairs, or take one that was built here before.

    options["config"], all optional, paths on the device:
        timing_cache: a file with the measured times of kernels; read, extended and written back.
        engines: a folder that keeps the engines, so that the one that was judged is the one that goes on running.
        max_rows: rows that run at once, 64 if absent.

    Raises:
        ProbeError: `no_runtime` without TensorRT 10 or 11 and a CUDA device, `invalid_graph` where TensorRT cannot
            build the model, `bad_request` for unknown settings.
    """
    config = options["config"]
    unknown = sorted(set(config) - set(SETTINGS))
    if unknown:
        raise ProbeError("bad_request", f"config '{unknown[0]}' is not a TensorRT setting: {', '.join(SETTINGS)}")
    rows = str(config.get("max_rows", MAX_ROWS))
    if not rows.isdecimal() or int(rows) < 1:
        raise ProbeError("bad_request", f"config max_rows is '{rows}', not a number of rows")
    trt = _tensorrt()
    try:
        device = Device()
    except CudaError as error:
        raise ProbeError("no_runtime", f"TensorRT needs an NVIDIA GPU and its driver: {error}") from error
    log = open_log(trt)
    log.errors.clear()
    runtime = start(trt, "Runtime", log)
    kept = _place(trt, device, content, config.get("engines"), int(rows))
    plan = kept.read_bytes() if kept is not None and kept.is_file() else b""
    engine = runtime.deserialize_cuda_engine(plan) if plan else None
    if engine is None:
        log.errors.clear()
        plan = Build(trt, log, content, int(rows), config.get("timing_cache")).plan()
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise ProbeError("no_runtime", f"TensorRT cannot load the engine that it built: {log.said()}")
        if kept is not None:
            write(kept, plan)
    facts = {
        "sha256": hashlib.sha256(plan).hexdigest(),
        "bytes": len(plan),
        "tensorrt": str(trt.__version__),
        "device": device.name,
        "compute_capability": device.compute_capability,
        "cuda_driver": device.driver,
        "max_rows": int(rows),
    }
    return Engine(engine, (runtime, log), device, read_onnx(content).metadata, facts)


def _tensorrt() -> Any:
    try:
        trt: Any = importlib.import_module("tensorrt")
    except Exception as error:
        how = "is not installed" if isinstance(error, ModuleNotFoundError) else "cannot be imported"
        raise ProbeError("no_runtime", f"TensorRT {how} on the device ({error}): {INSTALL}") from error
    version = str(getattr(trt, "__version__", "without a version"))
    if version.partition(".")[0] not in MAJORS:
        raise ProbeError("no_runtime", f"TensorRT {version} is not supported, only 10 and 11: {INSTALL}")
    return trt


def _place(trt: Any, device: Device, content: bytes, folder: Optional[str], rows: int) -> Optional[Path]:
    """Where the engine of this model, built by this version on this device, is kept."""
    if folder is None:
        return None
    model = hashlib.sha256(content).hexdigest()
    made_of = [model, trt.__version__, device.name, device.compute_capability, device.driver, rows]
    return Path(folder) / f"{model[:16]}-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]}.engine"


class Engine:
    """A built engine. `get_inputs`, `get_outputs`, `get_modelmeta`, `get_providers` and `run` are onnxruntime's.

    Attributes:
        facts: digest of the engine, and the device and versions that it is bound to.
    """

    def __init__(
        self, engine: Any, owners: Tuple[Any, Any], device: Device, about: Dict[str, str], facts: Dict[str, Any]
    ) -> None:
        self.facts = facts
        # The runtime and the logger must outlive the engine.
        self._runtime, self._log = owners
        self._engine = engine
        self._device = device
        self._metadata = about
        self._rows: int = facts["max_rows"]
        self._addresses: Dict[str, Tuple[int, int]] = {}
        self._bound: Dict[str, Tuple[int, ...]] = {}
        self._items: Dict[bool, Dict[str, SimpleNamespace]] = {True: {}, False: {}}
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            kind = engine.get_tensor_dtype(name).name
            if kind not in TYPES:
                raise ProbeError("invalid_graph", f"'{name}' is {kind}, which is not supported")
            if engine.get_tensor_location(name).name != "DEVICE":
                raise ProbeError("invalid_graph", f"the numbers of '{name}' are sizes of other tensors: not supported")
            shape = [None if size < 0 else int(size) for size in engine.get_tensor_shape(name)]
            item = SimpleNamespace(name=name, type=TYPES[kind][0], dtype=np.dtype(TYPES[kind][1]), shape=shape)
            self._items["INPUT" in engine.get_tensor_mode(name).name][name] = item
        self._context = engine.create_execution_context()
        if self._context is None:
            raise MemoryError(f"no room for the engine on {device.name}: {self._log.said()}")

    def get_inputs(self) -> List[Any]:
        """Name, type and shape (None for a dynamic size) of every input."""
        return list(self._items[True].values())

    def get_outputs(self) -> List[Any]:
        """Name, type and shape (None for a dynamic size) of every output."""
        return list(self._items[False].values())

    def get_modelmeta(self) -> Any:
        """The ONNX model's metadata."""
        return SimpleNamespace(custom_metadata_map=self._metadata)

    def get_providers(self) -> List[str]:
        """What runs it."""
        return [f"TensorRT {self.facts['tensorrt']}"]

    def run(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """The named outputs for any number of rows: copies to the device, inference, and copies back.

        Raises:
            ValueError: inputs that the engine does not take.
            RuntimeError, MemoryError, CudaError: it fails.
        """
        arrays = self._checked(names, inputs)
        rows = len(next(iter(arrays.values())))
        starts = range(0, max(rows, 1), self._rows)
        parts = [self._run({name: x[at : at + self._rows] for name, x in arrays.items()}, names) for at in starts]
        return parts[0] if len(parts) == 1 else [np.concatenate(outputs) for outputs in zip(*parts)]

    def _checked(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        known = self._items[True]
        if set(inputs) != set(known):
            raise ValueError(f"inputs {', '.join(sorted(inputs))} were given, the engine takes {', '.join(known)}")
        unknown = [name for name in names if name not in self._items[False]]
        if unknown:
            raise ValueError(f"the engine has no output '{unknown[0]}'")
        for name, item in known.items():
            array = inputs[name]
            if array.dtype != item.dtype:
                raise ValueError(f"input '{name}' is {array.dtype}, the engine takes {item.dtype}")
            if array.ndim != len(item.shape) or not len(array):
                raise ValueError(f"input '{name}' has shape {array.shape}, the engine takes {item.shape}")
        return {name: np.ascontiguousarray(inputs[name]) for name in known}

    def _run(self, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> List[np.ndarray]:
        shapes = {name: array.shape for name, array in inputs.items()}
        if shapes != self._bound:
            self._bind(shapes)
        for name, array in inputs.items():
            self._device.upload(self._addresses[name][0], array)
        if not self._context.execute_async_v3(self._device.stream):
            raise RuntimeError(f"TensorRT cannot run it: {self._log.said()}")
        outputs = [np.empty(self._context.get_tensor_shape(name), self._items[False][name].dtype) for name in names]
        for name, array in zip(names, outputs):
            self._device.download(array, self._addresses[name][0])
        self._device.wait()
        return outputs

    def _bind(self, shapes: Dict[str, Tuple[int, ...]]) -> None:
        """Tell the engine the sizes of this batch and where everything lies."""
        self._bound = {}
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise ValueError(f"input '{name}' has shape {shape}: {self._log.said()}")
        lacking = self._context.infer_shapes()
        if lacking:
            raise RuntimeError(f"the sizes of '{lacking[0]}' are not known before it runs")
        for items in self._items.values():
            for name, item in items.items():
                shape = tuple(self._context.get_tensor_shape(name))
                if min(shape, default=0) < 0:
                    raise RuntimeError(f"the size of '{name}' is not known before it runs")
                self._reserve(name, int(np.prod(shape)) * item.dtype.itemsize)
        self._bound = shapes

    def _reserve(self, name: str, size: int) -> None:
        address, room = self._addresses.get(name, (0, 0))
        if size > room:
            if room:
                self._device.free(address)
                del self._addresses[name]
            address = self._device.allocate(size)
            self._addresses[name] = address, size
        self._context.set_tensor_address(name, address)
