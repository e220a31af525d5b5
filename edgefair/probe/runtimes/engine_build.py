"""How TensorRT makes an engine of an ONNX model with explicit types and Q/DQ pairs."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from edgefair.probe.errors import ProbeError
from edgefair.probe.onnx_files.onnx_file import read_onnx
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY
from edgefair.probe.onnx_files.spec_check import spec_from_json


@functools.lru_cache(maxsize=None)
def open_log(trt: Any) -> Any:
    """The logger of this process, which remembers what went wrong: functions return None and say why only there.

    TensorRT holds on to the first logger that it is given, whatever later builders and runtimes bring, so there is one
    and it is never dropped.
    """

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: List[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append(message)

        def said(self) -> str:
            """The first error since the last call, which is the cause, and the last, which is what failed by it."""
            words = list(dict.fromkeys([*self.errors[:1], *self.errors[-1:]]))
            self.errors.clear()
            return "; ".join(words) or "no reason is given"

    return Log()


def start(trt: Any, kind: str, log: Any) -> Any:
    """TensorRT's `Builder` or `Runtime`, whose constructors give up with a TypeError that says nothing.

    Raises:
        ProbeError: `no_runtime`: its libraries do not fit the driver, or are not all there.
    """
    try:
        return getattr(trt, kind)(log)
    except TypeError as error:
        raise ProbeError("no_runtime", f"TensorRT {trt.__version__} does not start ({kind}): {log.said()}") from error


def write(path: Path, content: bytes) -> None:
    """Write a file of the device, whole or not at all.

    Raises:
        ProbeError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own: processes of other containers that share the folder may have the same id.
        descriptor, part = tempfile.mkstemp(dir=str(path.parent), prefix=f"{path.name}.")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        Path(part).replace(path)
    except OSError as error:
        raise ProbeError("bad_request", f"'{path}' cannot be written on the device: {error}") from error


class Build:
    """One model on its way to a serialized engine.

    Args:
        trt: the `tensorrt` package, 10 or 11.
        rows: the most rows that the engine takes at once; its kernels are chosen for one.
        timing_cache: a file with the times of kernels, read and written back; None keeps them in memory.
    """

    def __init__(self, trt: Any, log: Any, content: bytes, rows: int, timing_cache: Optional[str]) -> None:
        self._trt = trt
        self._log = log
        self._content = content
        self._rows = rows
        self._timing_cache = None if timing_cache is None else Path(timing_cache)
        self._builder = start(trt, "Builder", log)
        # Precision comes from the graph's own types and Q/DQ pairs. TensorRT 11 knows nothing else; 10 must be told.
        self._network = self._builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))

    def plan(self) -> bytes:
        """The serialized engine.

        Raises:
            ProbeError: `invalid_graph`, with TensorRT's own words.
        """
        parser = self._trt.OnnxParser(self._network, self._log)
        if not parser.parse(self._content):
            raise ProbeError("invalid_graph", f"TensorRT cannot read it: {self._first_error(parser)}")
        config = self._builder.create_builder_config()
        self._attach_cache(config)
        self._attach_profile(config)
        plan = self._builder.build_serialized_network(self._network, config)
        if plan is None:
            raise ProbeError("invalid_graph", f"TensorRT cannot build an engine: {self._log.said()}")
        if self._timing_cache is not None:
            write(self._timing_cache, bytes(config.get_timing_cache().serialize()))
        return bytes(plan)

    def _first_error(self, parser: Any) -> str:
        """Where the parser stopped; its own words may be no more than the condition that did not hold."""
        if not parser.num_errors:
            return str(self._log.said())
        error = parser.get_error(0)
        where = f"{error.node_operator()} '{error.node_name()}': " if error.node_operator() else ""
        return f"{where}{error.desc()} ({error.code().name})"

    def _attach_cache(self, config: Any) -> None:
        """Times of kernels that were measured before; those of another device or version do not count."""
        path = self._timing_cache
        known = path.read_bytes() if path is not None and path.is_file() else b""
        for content in (known, b""):
            cache = config.create_timing_cache(content)
            if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
                return
            self._log.errors.clear()

    def _attach_profile(self, config: Any) -> None:
        """The least, the usual and the largest size of every input."""
        profile = self._builder.create_optimization_profile()
        rows = _row_shapes(self._content)
        for index in range(self._network.num_inputs):
            item = self._network.get_input(index)
            row = _row_shape(item.name, tuple(item.shape), rows.get(item.name))
            profile.set_shape(item.name, (1, *row), (1, *row), (self._rows, *row))
        config.add_optimization_profile(profile)


def _row_shapes(content: bytes) -> Dict[str, Optional[Tuple[int, ...]]]:
    """The shape of one row of each input, where the model's spec fixes it."""
    try:
        spec = spec_from_json(read_onnx(content).metadata[SPEC_METADATA_KEY])
    except (KeyError, ValueError):
        return {}
    return {item.name: item.row_shape for item in spec.inputs}


def _row_shape(name: str, shape: Tuple[int, ...], known: Optional[Tuple[int, ...]]) -> Tuple[int, ...]:
    if not shape or shape[0] >= 0:
        raise ProbeError("invalid_graph", f"input '{name}' has the fixed shape {shape}: export it with a dynamic batch")
    row = shape[1:]
    if known is not None and len(known) == len(row):
        row = tuple(b if a < 0 else a for a, b in zip(row, known))
    if min(row, default=0) < 0:
        raise ProbeError(
            "invalid_graph",
            f"input '{name}' has the shape {shape}, and its sizes are not known: an engine is built for known "
            "sizes; `edgefair export` writes them into the file",
        )
    return row
