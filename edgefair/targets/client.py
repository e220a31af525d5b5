"""The host's side of the probe: asks, checks every answer, and believes nothing that it can check."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import ModelError, UsageError
from edgefair.files import sha256_file
from edgefair.probe.prepare import needs_preparation
from edgefair.probe.spec import InputSpec, input_json
from edgefair.probe.wire import PROTOCOL
from edgefair.targets.base import Transport
from edgefair.targets.connection import Arrays, Connection
from edgefair.targets.loaded import LoadedModel, untrustworthy
from edgefair.targets.profile import TargetProfile

# Batches that may be under way: one at work on the device, one waiting there.
AHEAD = 2


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
        self._connection: Connection

    def __enter__(self) -> Self:
        try:
            process = self._transport.start()
        except BaseException:
            self._transport.stop()
            raise
        self._connection = Connection(process, target=self.profile.name, timeout_s=self._timeout_s)
        try:
            reply, _ = self._connection.ask({"do": "hello"})
            if reply.get("protocol") != PROTOCOL or not isinstance(reply.get("device"), dict):
                raise self._connection.failed(
                    f"the probe speaks protocol {reply.get('protocol')}", expected=f"protocol {PROTOCOL}"
                )
            self.device = reply["device"]
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._connection.close()
        finally:
            self._transport.stop()

    def load(self, path: Path, *, name: str) -> LoadedModel:
        """Load a model on the device under a name.

        Raises:
            ModelError: the file is missing, empty, or no model that the device's runtime can load.
            MeasurementError: the device loaded other bytes, runs it elsewhere than the profile says, or was lost.
        """
        if not path.is_file():
            raise ModelError(f"no model file '{path}'", expected="an .onnx file or a bundle")
        digest, size = sha256_file(path), path.stat().st_size
        options = {
            "threads": self.profile.threads,
            "providers": self.profile.providers,
            "optimization": self.profile.optimization,
            "config": self.profile.config,
        }
        request = {"do": "load", "name": name, "path": self._transport.put(path), "options": options}
        reply, _ = self._connection.ask(request, refusals={"invalid_graph": lambda why: _unloadable(path, why)})
        try:
            model = LoadedModel.from_reply(reply, name=name, path=path)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._connection.failed(f"the probe describes the model as nothing known: {error!r}") from error
        if (model.sha256, model.bytes) != (digest, size):
            raise self._connection.failed(
                f"the device loaded sha256 {model.sha256} ({model.bytes} bytes)",
                expected=f"{digest} ({size} bytes), the file '{path}'",
            )
        absent = [provider for provider in self.profile.providers if provider not in model.providers]
        if absent:
            raise self._connection.failed(
                f"the runtime runs '{path}' on {', '.join(model.providers)}",
                expected=f"{', '.join(absent)}, as the profile says",
                fix="install an onnxruntime that has it on the device, or change `providers` in the profile",
            )
        return model

    def run(
        self,
        model: LoadedModel,
        batches: Iterable[Arrays],
        outputs: Sequence[str],
        *,
        inputs: Sequence[InputSpec] = (),
    ) -> Iterator[Arrays]:
        """Outputs of every batch, in order. The host encodes while the device works; at most `AHEAD` batches wait.

        Args:
            inputs: of the model's spec; the device prepares those that take something else than what travels.

        A run that is left before its end, by an error or by the caller, ends the probe: answers are under way that
        nobody will read.

        Raises:
            ModelError: the model has no such output, or it holds no numbers.
            UsageError: the runtime refuses the inputs.
            MeasurementError: outputs with a wrong type or number of rows, NaN or infinite, or a lost device.
            Exception: whatever `batches` raises.
        """
        types = model.output_types(outputs)
        header = {"do": "run", "name": model.name, "outputs": list(outputs), "prepare": _preparation(inputs)}
        sender = _Sender(self._connection, header, batches)
        finished = False
        try:
            while (item := sender.sent.get()) is not None:
                number, rows = item
                _, arrays = self._connection.receive(number, refusals={"bad_input": lambda why: _refused(model, why)})
                sender.free.release()
                wrong = untrustworthy(arrays, types, rows)
                if wrong is not None:
                    raise self._connection.failed(wrong[0], expected=wrong[1])
                yield arrays
            finished = True
        finally:
            if not finished:
                self._connection.give_up(f"the run of '{model.path}' was left before its end")
                sender.stop()
        if sender.failure is not None:
            raise sender.failure

    def latency(
        self, outputs: Mapping[str, Sequence[str]], pool: Arrays, *, inputs: Sequence[InputSpec] = ()
    ) -> dict[str, NDArray[np.int64]]:
        """Nanoseconds of every query per model, interleaved: int64 [queries], round i of one beside round i of others.

        Args:
            outputs: names of the outputs asked for, per name of a loaded model; the models take the same inputs.
            pool: rows to query with, [pool, ...] per graph input.
            inputs: of the models' spec; what they need done is done before the clock runs.

        Raises:
            MeasurementError: the device was lost.
        """
        rules = self.profile.latency.model_dump(exclude={"measured"})
        request = {
            "do": "latency",
            "outputs": {name: list(names) for name, names in outputs.items()},
            "rules": rules,
            "prepare": _preparation(inputs),
        }
        _, arrays = self._connection.ask(request, pool, extra_s=self.profile.latency.max_seconds * len(outputs))
        counts = {len(arrays[name]) if name in arrays and arrays[name].ndim == 1 else 0 for name in outputs}
        if len(counts) != 1 or 0 in counts:
            raise self._connection.failed(f"the device returned {sorted(counts)} times", expected="as many per model")
        for name in outputs:
            if arrays[name].dtype != np.int64 or arrays[name].min() <= 0:
                raise self._connection.failed(f"the device returned impossible times for '{name}'")
        return arrays


def _preparation(inputs: Sequence[InputSpec]) -> list[dict[str, Any]]:
    return [input_json(item) for item in inputs if needs_preparation(item)]


class _Sender:
    """Encodes and sends the batches of one run in a thread of its own.

    Attributes:
        sent: number and rows of every request, in order, before it is written; None after the last.
        free: places for requests; the reader of the answers gives one back for each.
        failure: what `batches` or their encoding raised, once `sent` has ended.
    """

    def __init__(self, connection: Connection, header: Mapping[str, Any], batches: Iterable[Arrays]) -> None:
        self.sent: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        self.free = threading.Semaphore(AHEAD)
        self.failure: BaseException | None = None
        self._connection = connection
        self._header = header
        self._batches = batches
        self._stopped = False
        threading.Thread(target=self._send, daemon=True).start()

    def stop(self) -> None:
        """Send no more."""
        self._stopped = True
        self.free.release()

    def _send(self) -> None:
        try:
            for batch in self._batches:
                number, buffers = self._connection.encode(self._header, batch)
                self.free.acquire()
                if self._stopped:
                    return
                self.sent.put((number, len(next(iter(batch.values())))))
                try:
                    self._connection.write(buffers)
                except OSError:
                    return  # the reader of the answers finds out how the probe ended
        except BaseException as error:
            self.failure = error
        finally:
            self.sent.put(None)


def _unloadable(path: Path, why: str) -> ModelError:
    return ModelError(
        f"'{path}' cannot be loaded by onnxruntime: {why}",
        expected="a valid ONNX file in one piece",
        fix="export or copy it again",
    )


def _refused(model: LoadedModel, why: str) -> UsageError:
    return UsageError(f"'{model.path}' refuses its inputs: {why}", expected="inputs as the model's spec or config says")
