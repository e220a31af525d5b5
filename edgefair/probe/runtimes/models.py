"""Models as the device loads and runs them."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from edgefair.probe.errors import ProbeError, error_kind, first_line
from edgefair.probe.memory import Memory
from edgefair.probe.runtimes import runtime_named
from edgefair.probe.runtimes.base import RemoteSession, Session
from edgefair.probe.wire import NAMES

# What the names of the operators that quantize while they run begin with.
DYNAMIC = b"DynamicQuantize"


@dataclass
class Loaded:
    """A session and the digest of the bytes it was made from."""

    session: Session
    sha256: str
    bytes: int
    # Dynamic quantization scales by the whole batch: rows would decide about each other.
    row_by_row: bool
    # What the runtime built out of it: its own digest, and what it is bound to.
    engine: Dict[str, Any] = field(default_factory=dict)
    # From the file to a session, and the memory of the process since before it.
    load_ns: int = 0
    load_bytes: Optional[int] = None
    memory: Memory = field(default_factory=Memory)

    def describe(self) -> Dict[str, Any]:
        """What the host checks: digest, size, inputs, outputs, metadata and the providers really active."""
        return {
            **({"engine": self.engine} if self.engine else {}),
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

        one_by_one: each row as a batch of its own, whatever the model is.

        Raises:
            ProbeError: the runtime refuses the inputs or fails, or an output is not an array of numbers.
        """
        rows = (self.row_by_row or one_by_one) and not getattr(self.session, "asks_one_by_one", False)
        try:
            results = self._run_rows(inputs, outputs) if rows else self._run(inputs, outputs)
        except ProbeError:
            raise
        except Exception as error:
            raise ProbeError(error_kind(error, "run_failed"), first_line(error)) from error
        for name, result in results.items():
            _check_numbers(name, result)
        return results

    def _run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Dict[str, Any]:
        return dict(zip(outputs, self.session.run(list(outputs), dict(inputs))))

    def _run_rows(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Dict[str, Any]:
        """Each row as a batch of its own, as it will be on the device."""
        if isinstance(self.session, RemoteSession):
            return dict(zip(outputs, self.session.run_alone(outputs, inputs)))
        rows = len(next(iter(inputs.values())))
        each = [self._run({name: x[row : row + 1] for name, x in inputs.items()}, outputs) for row in range(rows)]
        for result in each:
            for name, array in result.items():
                _check_numbers(name, array)
                if array.shape[:1] != (1,):
                    raise ProbeError("bad_output", f"output '{name}' has shape {list(array.shape)} for one row")
        return {name: np.concatenate([result[name] for result in each]) for name in outputs}


def _check_numbers(name: str, result: Any) -> None:
    if not isinstance(result, np.ndarray) or result.dtype not in NAMES:
        raise ProbeError("bad_output", f"output '{name}' is not an array of numbers")


def load(path: str, options: Mapping[str, Any]) -> Loaded:
    """Read a model file once, hash those bytes, and make a session from the same bytes.

    options: see `open_model`.

    Raises:
        ProbeError: no such file, or as `open_model`.
    """
    memory, started = Memory(), time.perf_counter_ns()
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ProbeError("not_found", f"{path}: {error.strerror}") from error
    model = open_model(content, options)
    model.load_ns = time.perf_counter_ns() - started
    model.memory, model.load_bytes = memory, memory.peak()
    return model


def open_model(content: bytes, options: Mapping[str, Any]) -> Loaded:
    """A session of a model's bytes, and of nothing else.

    options: runtime (one of `probe.runtimes.NAMES`; onnxruntime, if absent), threads (int), providers (list of names),
    optimization (disable | basic | extended | all), config (the runtime's own settings),
    profile (the beginning of the files that onnxruntime writes the times of nodes to, where they are asked for).

    Raises:
        ProbeError: a runtime or provider that is not there, or not a model that this runtime can load.
    """
    try:
        runtime = runtime_named(options.get("runtime", "onnxruntime"))
    except ValueError as error:
        raise ProbeError("bad_request", str(error)) from error
    try:
        runtime.format.check_whole(content)
    except ValueError as error:
        raise ProbeError("invalid_graph", str(error)) from error
    session, engine = runtime.open(content, options)
    return Loaded(
        session=session,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        row_by_row=DYNAMIC in content,
        engine=engine,
    )


def _signature(item: Any) -> Dict[str, Any]:
    return {"name": item.name, "type": item.type, "shape": _shape(item.shape)}


def _shape(shape: List[Any]) -> List[Any]:
    return [size if isinstance(size, int) else None for size in shape]
