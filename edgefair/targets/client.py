"""The host's side of the probe: asks, checks every answer, and believes nothing that it can check."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import EdgefairError, MeasurementError, ModelError, UsageError
from edgefair.files import sha256_file
from edgefair.probe.wire import PROTOCOL, WireError, read_frame, write_frame
from edgefair.targets.base import Transport
from edgefair.targets.profile import TargetProfile

Arrays = dict[str, NDArray[Any]]
STDERR_LINES = 5
# How long a probe whose stream broke may take to end, before the stream and not the probe is to blame.
ENDING_S = 2.0
# Chunks that may wait on the device while the host encodes the next ones.
AHEAD = 2


@dataclass(frozen=True)
class LoadedModel:
    """A model on the device.

    Attributes:
        sha256: digest of the bytes that the device made its session from, equal to the host's file.
        inputs, outputs: name, type and shape (None for a dynamic size) as the runtime reports them.
        metadata: the model's own metadata.
        providers: execution providers that are really active.
    """

    name: str
    path: Path
    sha256: str
    bytes: int
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    metadata: dict[str, str]
    providers: tuple[str, ...]


class Probe:
    """A running probe. Use it as a context manager.

    Attributes:
        device: fingerprint of the machine, after entering.
    """

    def __init__(self, profile: TargetProfile, transport: Transport, *, timeout_s: float) -> None:
        self.profile = profile
        self.device: dict[str, Any] = {}
        self._transport = transport
        self._timeout_s = timeout_s
        self._timed_out = False
        self._process: subprocess.Popen[bytes]
        self._stderr: deque[bytes] = deque(maxlen=STDERR_LINES)

    def __enter__(self) -> Self:
        self._process = self._transport.start()
        threading.Thread(target=self._drain_stderr, daemon=True).start()
        try:
            reply, _ = self._ask({"do": "hello"})
            if reply.get("protocol") != PROTOCOL:
                raise self._failed(
                    f"the probe speaks protocol {reply.get('protocol')}", expected=f"protocol {PROTOCOL}"
                )
            self.device = dict(reply["device"])
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def load(self, path: Path, *, name: str) -> LoadedModel:
        """Load a model on the device under a name.

        Raises:
            ModelError: the file is missing, empty, or no model that the device's runtime can load.
            MeasurementError: the device loaded other bytes, or was lost.
        """
        if not path.is_file():
            raise ModelError(f"no model file '{path}'", expected="an .onnx file or a bundle")
        digest = sha256_file(path)
        options = {
            "threads": self.profile.threads,
            "providers": self.profile.providers,
            "optimization": self.profile.optimization,
            "config": self.profile.config,
        }
        request = {"do": "load", "name": name, "path": self._transport.put(path), "options": options}
        reply, _ = self._ask(request, refused={"invalid_graph": lambda why: _unloadable(path, why)})
        if reply["sha256"] != digest:
            raise self._failed(f"the device loaded sha256 {reply['sha256']}", expected=f"{digest}, the file '{path}'")
        return LoadedModel(
            name=name,
            path=path,
            sha256=digest,
            bytes=int(reply["bytes"]),
            inputs=tuple(reply["inputs"]),
            outputs=tuple(reply["outputs"]),
            metadata=dict(reply["metadata"]),
            providers=tuple(reply["providers"]),
        )

    def run(self, model: LoadedModel, batches: Iterable[Arrays], outputs: Sequence[str]) -> Iterator[Arrays]:
        """Outputs of every batch, in order. The host encodes while the device works; at most `AHEAD` batches wait.

        Raises:
            ModelError: the runtime refuses the inputs.
            MeasurementError: a wrong number of rows, NaN or infinite outputs, or a lost device.
        """
        header = {"do": "run", "name": model.name, "outputs": list(outputs)}
        sent: deque[int] = deque()
        free, arrived = threading.Semaphore(AHEAD), threading.Semaphore(0)
        failure: list[BaseException] = []
        finished = threading.Event()

        def send() -> None:
            try:
                for batch in batches:
                    free.acquire()
                    if finished.is_set():
                        return
                    sent.append(len(next(iter(batch.values()))))
                    arrived.release()
                    write_frame(self._stdin, header, batch)
            except BaseException as error:
                failure.append(error)
            finally:
                arrived.release()

        writer = threading.Thread(target=send, daemon=True)
        writer.start()
        try:
            while True:
                arrived.acquire()
                if not sent:
                    break
                rows = sent.popleft()
                _, arrays = self._receive({"bad_input": lambda why: _refused(model, why)})
                free.release()
                yield self._checked(arrays, outputs, rows)
        finally:
            finished.set()
            free.release()
        writer.join()
        if failure:
            raise failure[0] if isinstance(failure[0], EdgefairError) else self._lost(failure[0])

    def latency(self, outputs: Mapping[str, Sequence[str]], pool: Arrays) -> dict[str, NDArray[np.int64]]:
        """Nanoseconds of every query per model, interleaved: int64 [queries].

        Args:
            outputs: names of the outputs asked for, per name of a loaded model; the models take the same inputs.
            pool: rows to query with, [pool, ...] per graph input.

        Raises:
            MeasurementError: the device was lost.
        """
        rules = self.profile.latency.model_dump(exclude={"measured"})
        request = {"do": "latency", "outputs": {name: list(names) for name, names in outputs.items()}, "rules": rules}
        _, arrays = self._ask(request, arrays=pool)
        for name in outputs:
            if name not in arrays or arrays[name].dtype != np.int64 or not len(arrays[name]) or arrays[name].min() <= 0:
                raise self._failed(f"the device returned no times for '{name}'")
        return arrays

    @property
    def _stdin(self) -> Any:
        return self._process.stdin

    def _ask(
        self, request: dict[str, Any], arrays: Arrays | None = None, refused: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], Arrays]:
        try:
            write_frame(self._stdin, request, arrays)
        except OSError as error:
            raise self._lost(error) from error
        return self._receive(refused or {})

    def _receive(self, refused: Mapping[str, Any]) -> tuple[dict[str, Any], Arrays]:
        """Read one answer; a refusal of a kind in `refused` becomes that error."""
        timer = threading.Timer(self._timeout_s, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            frame = read_frame(self._process.stdout)  # type: ignore[arg-type]
        except (WireError, OSError, ValueError) as error:
            raise self._lost(error) from error
        finally:
            timer.cancel()
        if frame is None:
            raise self._lost(None)
        reply, arrays = frame
        if not reply.get("ok"):
            kind, message = str(reply.get("kind")), str(reply.get("message"))
            if kind in refused:
                raise refused[kind](message)
            raise self._failed(f"the probe answered {kind}: {message}")
        return reply, arrays

    def _checked(self, arrays: Arrays, outputs: Sequence[str], rows: int) -> Arrays:
        for name in outputs:
            if name not in arrays:
                raise self._failed(f"the device returned no output '{name}'")
            array = arrays[name]
            if not array.ndim or len(array) != rows:
                raise self._failed(f"output '{name}' has shape {array.shape}", expected=f"{rows} rows, as were sent")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                bad = int(np.count_nonzero(~np.isfinite(array).reshape(rows, -1).all(axis=1)))
                raise self._failed(
                    f"output '{name}' is NaN or infinite in {bad} of {rows} rows",
                    expected="finite outputs",
                    fix="check the model: a row without a decision cannot be judged",
                )
        return arrays

    def _give_up(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _drain_stderr(self) -> None:
        stream = self._process.stderr
        if stream is not None:
            for line in stream:
                self._stderr.append(line)

    def _failed(self, found: str, *, expected: str | None = None, fix: str | None = None) -> MeasurementError:
        return MeasurementError(f"target '{self.profile.name}': {found}", expected=expected, fix=fix)

    def _lost(self, error: BaseException | None) -> MeasurementError:
        """The error for a probe that no longer answers, with how it ended."""
        if self._timed_out:
            return self._failed(f"no answer within {self._timeout_s:g} s", fix="is the device overloaded or asleep?")
        try:
            code = self._process.wait(timeout=ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return self._failed(f"the probe's answer is damaged: {error}")
        ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        said = b"".join(self._stderr).decode(errors="replace").strip()
        return self._failed(f"the probe was lost ({ended})" + (f"; it said: {said}" if said else ""))

    def _end(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            try:
                if stream is not None:
                    stream.close()
            except OSError:
                pass
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._transport.stop()


def _unloadable(path: Path, why: str) -> ModelError:
    return ModelError(
        f"'{path}' cannot be loaded by onnxruntime: {why}",
        expected="a valid ONNX file in one piece",
        fix="export or copy it again",
    )


def _refused(model: LoadedModel, why: str) -> UsageError:
    return UsageError(f"'{model.path}' refuses its inputs: {why}", expected="inputs as the model's spec or config says")
