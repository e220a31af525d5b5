"""TensorRT: an ONNX model as an engine, built on the device that runs it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from edgefair.probe.errors import ProbeError, error_kind, first_line
from edgefair.probe.formats.base import FileFormat
from edgefair.probe.formats.onnx import FORMAT as ONNX
from edgefair.probe.onnx_files.onnx_file import read_onnx
from edgefair.probe.runtimes.cuda import CudaError, Device
from edgefair.probe.runtimes.engine import Engine
from edgefair.probe.runtimes.engine_build import Build, open_log, start, write

# What its Python package is called, by the CUDA that it is for.
PACKAGES = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu11")
MAJORS = ("10", "11")
INSTALL = (
    "`pip install tensorrt` (edgefair[tensorrt]) for the Python that runs the probe; on a Jetson JetPack's own "
    "(`apt install python3-libnvinfer`, and a virtual environment made with --system-site-packages)"
)
SETTINGS = ("timing_cache", "engines", "max_rows")
# Rows that run at once. Kernels are chosen for one row, as queries come on the device.
MAX_ROWS = 64


class TensorRt:
    """TensorRT 10 and 11 by themselves, without onnxruntime. See `probe.runtimes.base.Runtime`."""

    format: FileFormat = ONNX
    levels: Sequence[str] = ("all",)
    opens_bundles: bool = False

    def facts(self) -> Dict[str, Any]:
        """Its version, as its package says: importing it takes a driver and seconds."""
        for name in PACKAGES:
            try:
                return {"tensorrt": importlib.metadata.version(name)}
            except importlib.metadata.PackageNotFoundError:
                continue
        return {}

    def open(self, content: bytes, options: Mapping[str, Any]) -> Tuple[Engine, Dict[str, Any]]:
        """Build an engine of a model with explicit types and Q/DQ pairs, or take one that was built here before.

        options["config"], all optional, paths on the device:
            timing_cache: a file with the measured times of kernels; read, extended and written back.
            engines: a folder that keeps the engines, so that the one that was judged is the one that goes on running.
            max_rows: rows that run at once, 64 if absent.

        Raises:
            ProbeError: `no_runtime` without TensorRT 10 or 11 and a CUDA device, `invalid_graph` where TensorRT cannot
                build the model, `bad_request` for unknown settings.
        """
        try:
            engine = _open(content, options)
        except ProbeError:
            raise
        except Exception as error:
            raise ProbeError(error_kind(error, "invalid_graph"), first_line(error)) from error
        return engine, engine.facts


RUNTIME = TensorRt()


def _open(content: bytes, options: Mapping[str, Any]) -> Engine:
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
