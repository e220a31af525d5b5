"""The host's side of the probe: asks, checks every answer, and believes nothing that it can check."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import EdgefairError, MeasurementError, ModelError
from edgefair.probe.onnx_files.spec import InputSpec
from edgefair.targets.any_probe import OneDevice
from edgefair.targets.connection import Arrays, Connection, DroppedError
from edgefair.targets.fault import Fault
from edgefair.targets.introduction import introduced, refuse
from edgefair.targets.loaded import (
    LoadedModel,
    UnlikeFileError,
    check_content,
    read_content,
    refused,
    unloadable,
    untrustworthy,
)  # fmt: skip
from edgefair.targets.profile import TargetProfile
from edgefair.targets.running import Running, running
from edgefair.targets.sending import Sender, preparation, send_file
from edgefair.targets.timing import check_times, circumstances, timing_request
from edgefair.targets.transports.base import Transport

# Starts after a connection that broke, in one session; the wait before each is twice the one before.
RESTARTS = 4
RESTART_AFTER_S = 1.0


class Probe(OneDevice):
    """A running probe. Use it as a context manager.

    A broken connection is re-established and the work resumes where it was; a device that fails is not retried.

    Attributes:
        device: fingerprint of the machine, what runs the models there (`runs_on`, `threads`, `session`), after
            entering; after `latency` also what its `circumstances` were.
    """

    def __init__(self, profile: TargetProfile, transport: Transport, *, timeout_s: float) -> None:
        super().__init__(profile)
        self.device: dict[str, Any] = {}
        self._transport = transport
        self._timeout_s = timeout_s
        self._connection: Connection
        self._models: dict[str, LoadedModel] = {}
        self._waits_s = iter([RESTART_AFTER_S * 2**attempt for attempt in range(RESTARTS)])

    def __enter__(self) -> Self:
        try:
            self._started = {**self._connect(), **self.profile.facts, **self._transport.identity}
        except BaseException:
            self._transport.stop()
            raise
        self.begin_anew()
        return self

    def begin_anew(self) -> bool:
        """Forget the models, and what the device said of them; whether another question can be asked."""
        self._models, self.device = {}, dict(self._started)
        return self._connection.idle

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._transport.shares_files and self._connection.idle:
                with contextlib.suppress(DroppedError):  # everything was answered, and the next session tidies as well
                    self._connection.ask({"do": "tidy"})
        finally:
            try:
                self._connection.close()
            finally:
                self._transport.stop()

    @property
    def identity(self) -> dict[str, Any]:
        """What outputs depend on beside the model and the profile, after a model was loaded."""
        return {**self.profile.host_runtime.identity_of(self.device), **self._transport.identity}

    def _connect(self) -> dict[str, Any]:
        """Start the probe; the device's fingerprint."""
        process = self._transport.start()
        name = self.profile.name
        self._connection = Connection(process, target=name, timeout_s=self._timeout_s, ended=self._transport.ended)
        try:
            device = introduced(self._connection, self.profile)
        except BaseException:
            self._connection.close()
            raise
        return device

    def _reconnect(self, error: DroppedError) -> None:
        """Start again after a connection that broke, with the same models on the same device.

        Raises:
            DroppedError: `error`, where the starts of this session are used up.
            MeasurementError: something else went wrong, or another device answers.
        """
        for wait_s in self._waits_s:
            self._connection.close()
            time.sleep(wait_s)
            try:
                device = self._connect()
                again = {name: self._load(model.path, name, beside=True) for name, model in self._models.items()}
            except DroppedError as dropped:
                error = dropped
                continue
            for name, model in again.items():
                if model.sha256 != self._models[name].sha256:
                    raise self._connection.failed(
                        f"'{model.path}' changed while it was being measured: its sha256 is {model.sha256}",
                        expected=self._models[name].sha256,
                    )
                self._refuse(self.profile.host_runtime.rebuilt(self._models[name].engine, model.engine))
            self._refuse(self.profile.host_runtime.changed(self.device, device))
            return
        raise error

    def load(self, path: Path, *, name: str, beside: bool = False) -> LoadedModel:
        """Load a model on the device under a name.

        Args:
            beside: see `targets.running`.

        Raises:
            ModelError: the file is missing, empty, or no model that the device's runtime can load.
            MeasurementError: the device loaded other bytes, runs it elsewhere than the profile says, has a runtime
                that is too old for it, or was lost.
        """
        if not path.is_file():
            raise ModelError(f"no model file '{path}'", expected="a model file or a bundle")
        while True:
            try:
                self._models[name] = self._load(path, name, beside=beside)
            except DroppedError as error:
                self._reconnect(error)
            else:
                return self._models[name]

    def _load(self, path: Path, name: str, *, beside: bool) -> LoadedModel:
        content = read_content(path)
        run = running(self.profile, content, path, beside=beside)
        runtime, target = run.runtime, self.profile.name
        check_content(path, content, runtime.format)
        if not run.own:
            self._refuse(runtime.missing(self.device))
        reply, _ = self._connection.ask(
            self._load_request(path, name, content, run),
            refusals={
                "invalid_graph": lambda why: runtime.unloadable(path, why, target=target, device=self.device),
                "no_runtime": self._no_runtime,
            },
            extra_s=self._build_s,
        )
        facts, kind = runtime.engine_facts, runtime.format
        try:
            model = LoadedModel.of(content, reply, name=name, path=path, engine_facts=facts, file_format=kind)
        except UnlikeFileError as error:
            raise self._connection.failed(str(error), expected=error.expected) from error
        except ValueError as error:
            raise unloadable(path, str(error), kind) from error
        self._refuse(runtime.elsewhere(model, run.options["providers"]))
        if run.own:
            self._refuse(runtime.unlike_asked(model, self.profile.config))
        if model.engine and run.own:
            # Of the first model of a session, which is the one that is judged; others are measured beside it.
            self.device = {"engine": model.engine, **self.device}
        return model

    def _no_runtime(self, why: str) -> EdgefairError:
        """The error for what the device lacks, with what its libraries said: a provider hides the reason there."""
        words = self._connection.last_words()
        return self.failed(why + (f"; it said: {words}" if words else ""))

    def _load_request(self, path: Path, name: str, content: bytes, run: Running) -> dict[str, Any]:
        """The request to load a file, which the device has then."""
        if self._transport.shares_files:
            place = str(path.resolve())
        else:
            place = send_file(self._connection, path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        return {"do": "load", "name": name, "path": place, "options": run.options}

    def _refuse(self, fault: Fault | None) -> None:
        refuse(self._connection, fault)

    @property
    def _build_s(self) -> float:
        """Seconds beyond the usual silence that a device may need before its first answer."""
        return self.profile.kernels.build_s

    def run(
        self,
        model: LoadedModel,
        batches: Iterable[Arrays],
        outputs: Sequence[str],
        *,
        inputs: Sequence[InputSpec] = (),
        one_by_one: bool = False,
    ) -> Iterator[Arrays]:
        """Outputs of every batch, in order. The host encodes while the device works; at most `AHEAD` batches wait.

        Args:
            inputs: of the model's spec; the device prepares those that take something else than what travels.
            one_by_one: the device runs every row as a batch of its own, as queries come to it later; so it does with
                every model that takes one row only.

        A run that is left before its end, by an error or by the caller, ends the probe: answers are under way that
        nobody will read.

        Raises:
            ModelError: the model has no such output, or it holds no numbers.
            UsageError: the runtime refuses the inputs.
            MeasurementError: answers to other inputs, outputs with a wrong type or number of rows, NaN or infinite,
                or a lost device.
            Exception: whatever `batches` raises.
        """
        types = model.output_types(outputs)
        header = {
            "do": "run",
            "name": model.name,
            "outputs": list(outputs),
            "prepare": preparation(inputs),
            "one_by_one": one_by_one or model.takes_one_row,
        }
        stream = iter(batches)
        sender = Sender(self._connection, header, stream)
        refusals = {"bad_input": lambda why: refused(model, why)}
        finished, extra_s = False, self._build_s
        try:
            while (item := sender.sent.get()) is not None:
                try:
                    reply, arrays = self._connection.receive(item.number, refusals=refusals, extra_s=extra_s)
                except DroppedError as error:
                    waiting = sender.take_back()
                    if sender.failure is not None:
                        raise
                    self._reconnect(error)
                    sender = Sender(self._connection, header, itertools.chain(waiting, stream))
                    continue
                sender.answered()
                if reply.get("inputs") != item.inputs:
                    raise self._connection.failed("the device ran different inputs than it was sent")
                self._refuse(untrustworthy(arrays, types, item.rows))
                yield arrays
            finished = True
        finally:
            if not finished:
                self._connection.give_up(f"the run of '{model.path}' was aborted")
                sender.stop()
        if sender.failure is not None:
            raise sender.failure

    def ask_about(
        self, model: LoadedModel, request: Mapping[str, Any], row: Arrays, inputs: Sequence[InputSpec]
    ) -> dict[str, Any]:
        """The answer to a request for which the device loads the file anew, or a MeasurementError (`targets.costs`)."""
        content = read_content(model.path)
        run = running(self.profile, content, model.path, beside=False)
        whole = {**self._load_request(model.path, model.name, content, run), **request}
        whole |= {"prepare": preparation(inputs), "threads": self.profile.threads}
        return self._timed(whole, row, 0)[0]

    def give_up(self, why: str, *, lost: bool = False) -> None:
        """End the probe now; whoever still waits for it learns why, by a LostError where the device counts as lost."""
        (self._connection.count_as_lost if lost else self._connection.give_up)(why)

    def failed(self, found: str) -> MeasurementError:
        """What to raise where the device said what cannot be."""
        return self._connection.failed(found)

    def latency(
        self,
        outputs: Mapping[str, Sequence[str]],
        pool: Arrays,
        *,
        inputs: Sequence[InputSpec] = (),
        energy: bool = False,
    ) -> dict[str, NDArray[np.int64]]:
        """Nanoseconds of every query per model, interleaved: int64 [queries], round i of one beside round i of others.

        Args:
            outputs: names of the outputs asked for, per name of a loaded model; the models take the same inputs.
            pool: rows to query with, [pool, ...] per graph input.
            inputs: of the models' spec; what they need done is done before the clock runs.
            energy: also measure the energy of a query, where the device has a meter.

        Raises:
            MeasurementError: the device was lost, or says what cannot be.
        """
        request, extra_s = timing_request(self.profile, outputs, energy=energy)
        request |= {"prepare": preparation(inputs)}
        reply, arrays = self._timed(request, pool, extra_s)
        try:
            check_times(arrays, outputs)
            self.device |= circumstances(reply, set(outputs))
        except ValueError as error:
            raise self._connection.failed(str(error)) from error
        return arrays

    def _timed(self, request: dict[str, Any], rows: Arrays, extra_s: float) -> tuple[dict[str, Any], Arrays]:
        """The answer to a request that starts anew where the connection breaks."""
        while True:
            try:
                return self._connection.ask(request, rows, extra_s=extra_s + self._build_s)
            except DroppedError as error:
                self._reconnect(error)
