"""Models as the device loads and runs them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from edgefair.probe.external import external_tensor
from edgefair.probe.wire import DTYPES

# What the names of the operators that quantize while they run begin with.
DYNAMIC = b"DynamicQuantize"


class ProbeError(Exception):
    """Something the host must know, with a kind that it can act on.

    kind: `not_found`, `no_runtime`, `invalid_graph`, `bad_input`, `bad_output`, `run_failed`, `out_of_memory`,
    `bad_request`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class Loaded:
    """A session and the digest of the bytes it was made from."""

    session: Any
    sha256: str
    bytes: int
    # Dynamic quantization scales by the whole batch: rows would decide about each other.
    row_by_row: bool
    # Of a TensorRT engine: its own digest, and what it is bound to.
    engine: Optional[Dict[str, Any]] = None

    def describe(self) -> Dict[str, Any]:
        """What the host checks: digest, size, inputs, outputs, metadata and the providers really active."""
        bound = {} if self.engine is None else {"engine": self.engine}
        return {
            **bound,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "inputs": [_signature(item) for item in self.session.get_inputs()],
            "outputs": [_signature(item) for item in self.session.get_outputs()],
            "metadata": dict(self.session.get_modelmeta().custom_metadata_map),
            "providers": self.session.get_providers(),
        }

    def run(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str], one_by_one: bool = False
    ) -> Dict[str, np.ndarray]:
        """Run one batch.

        Raises:
            ProbeError: the runtime refuses the inputs or fails, or an output is not an array of numbers.
        """
        try:
            results = self._run_rows(inputs, outputs) if self.row_by_row or one_by_one else self._run(inputs, outputs)
        except Exception as error:
            raise ProbeError(_kind(error, "run_failed"), _first_line(error)) from error
        for name, result in results.items():
            if not isinstance(result, np.ndarray) or result.dtype.name not in DTYPES:
                raise ProbeError("bad_output", f"output '{name}' is no array of numbers")
        return results

    def _run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Dict[str, Any]:
        return dict(zip(outputs, self.session.run(list(outputs), dict(inputs))))

    def _run_rows(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Dict[str, Any]:
        """Each row as a batch of its own, as it will be on the device."""
        rows = len(next(iter(inputs.values())))
        each = [self._run({name: x[row : row + 1] for name, x in inputs.items()}, outputs) for row in range(rows)]
        return {name: np.concatenate([result[name] for result in each]) for name in outputs}


def load(path: str, options: Mapping[str, Any]) -> Loaded:
    """Read a model file once, hash those bytes, and make a session from the same bytes.

    options: runtime (onnxruntime, if absent, or tensorrt: see `probe.engine`), threads (int), providers (list of
    names), optimization (disable | basic | extended | all), config (session config entries).

    Raises:
        ProbeError: no such file, a runtime or provider that is not there, or not a model that this runtime can load.
    """
    content = _read(path)
    built = options.get("runtime", "onnxruntime") == "tensorrt"
    session = _engine(content, options) if built else _session(content, options)
    return Loaded(
        session=session,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        row_by_row=DYNAMIC in content,
        engine=session.facts if built else None,
    )


def _read(path: str) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ProbeError("not_found", f"{path}: {error.strerror}") from error
    if not content:
        raise ProbeError("invalid_graph", f"{path} is empty")
    try:
        external = external_tensor(content)
    except ValueError as error:
        raise ProbeError("invalid_graph", f"{path} is damaged: {error}") from error
    if external is not None:
        raise ProbeError(
            "invalid_graph",
            f"it keeps its weights in other files ('{external}' is external data), which the digest would not cover; "
            "save it in one file with onnx.save_model(..., save_as_external_data=False)",
        )
    return content


def _engine(content: bytes, options: Mapping[str, Any]) -> Any:
    from edgefair.probe.engine import open_engine

    try:
        return open_engine(content, options)
    except ProbeError:
        raise
    except Exception as error:
        raise ProbeError(_kind(error, "invalid_graph"), _first_line(error)) from error


def _session(content: bytes, options: Mapping[str, Any]) -> Any:
    """A session of onnxruntime's on exactly the providers that were asked for: it only warns about absent ones."""
    import onnxruntime

    providers, available = list(options["providers"]), onnxruntime.get_available_providers()
    absent = [name for name in providers if name not in available]
    if absent:
        raise ProbeError(
            "no_runtime",
            f"onnxruntime {onnxruntime.__version__} on the device has no {', '.join(absent)}, only "
            f"{', '.join(available)}: install a build that has it (onnxruntime-gpu for CUDA and TensorRT), or change "
            "`providers` in the profile",
        )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = int(options["threads"])
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    settings.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, "ORT_" + {"disable": "DISABLE_ALL", "basic": "ENABLE_BASIC",
        "extended": "ENABLE_EXTENDED", "all": "ENABLE_ALL"}[options["optimization"]]
    )  # fmt: skip
    for key, value in options["config"].items():
        settings.add_session_config_entry(key, value)
    try:
        session = onnxruntime.InferenceSession(content, settings, providers=providers)
    except Exception as error:
        raise ProbeError(_kind(error, "invalid_graph"), _first_line(error)) from error
    dropped = [name for name in providers if name not in session.get_providers()]
    if dropped:
        raise ProbeError(
            "no_runtime",
            f"onnxruntime could not start {', '.join(dropped)} and went on with {', '.join(session.get_providers())}: "
            "its libraries (CUDA, cuDNN, TensorRT) are missing or of another version than this build of onnxruntime "
            "needs",
        )
    return session


def _signature(item: Any) -> Dict[str, Any]:
    return {"name": item.name, "type": item.type, "shape": _shape(item.shape)}


def _shape(shape: List[Any]) -> List[Any]:
    return [size if isinstance(size, int) else None for size in shape]


def _kind(error: Exception, otherwise: str) -> str:
    """The kind of an error of the runtime, whose exceptions tell apart less than their messages."""
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "bad_alloc" in str(error):
        return "out_of_memory"
    if otherwise == "run_failed" and type(error).__name__ in ("InvalidArgument", "ValueError"):
        return "bad_input"
    return otherwise


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
