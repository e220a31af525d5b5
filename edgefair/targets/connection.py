"""Frames to and from a running probe: every answer has a deadline, and a probe that is lost says how it ended."""

from __future__ import annotations

import contextlib
import itertools
import re
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from edgefair.errors import EdgefairError, MeasurementError
from edgefair.probe.wire import TruncatedError, WireError, encode_frame, read_frame, write_frame
from edgefair.progress import timed
from edgefair.targets.transports.base import Ending
from edgefair.targets.transports.deadline import Deadline

Arrays = dict[str, NDArray[Any]]
# Makes the error for an answer of one kind from its message.
Refusals = Mapping[str, Callable[[str], EdgefairError]]
STDERR_LINES = 5
# Of what libraries said, in a message; and how they colour it.
MOST_WORDS = 600
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# How long a probe whose stream ended may take to end itself, so that the error can say how it did.
ENDING_S = 5.0
# A child of the probe may keep its stream open for longer.
CLOSING_S = 0.1
STUCK = "is the device overloaded, asleep, or stuck in the model?"


class LostError(MeasurementError):
    """The device no longer answers. What it answered before may be believed."""


class DroppedError(LostError):
    """The way to the device broke; the device itself may be as well as before."""


class Connection:
    """The two streams of a probe. One thread may write while another reads.

    Args:
        target: name of the target, for messages.
        ended: what an exit code of the process and its last words mean.
        timeout_s: longest wait for an answer before the device counts as lost.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], *, target: str, timeout_s: float, ended: Callable[[int, str], Ending]
    ) -> None:
        self.target = target
        self.timeout_s = timeout_s
        self._process = process
        self._ended = ended
        self._ids = itertools.count(1)
        self._asked = 0
        self._answered = 0
        self._given_up: MeasurementError | None = None
        self._said: deque[bytes] = deque(maxlen=STDERR_LINES)
        self._deadline = Deadline(self._silent)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def ask(
        self,
        request: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]] | None = None,
        *,
        refusals: Refusals | None = None,
        extra_s: float = 0.0,
    ) -> tuple[dict[str, Any], Arrays]:
        """Send one request and wait for its answer.

        Args:
            refusals: errors for the kinds of refusal that the caller can explain better.
            extra_s: time that the request itself asks the device to spend.

        Raises:
            MeasurementError: the device was lost, is silent, or refuses.
        """
        with timed(f"asking the target to {request['do']}"):
            number, buffers = self.encode(request, arrays)
            with self._deadline.within(self.timeout_s + extra_s):
                try:
                    self.write(buffers)
                except OSError as error:
                    raise self.lost(error) from error
            return self.receive(number, refusals=refusals, extra_s=extra_s)

    def encode(
        self, request: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None
    ) -> tuple[int, list[Any]]:
        """A numbered request, ready to be written.

        Raises:
            ValueError: an array of a type that the protocol does not carry.
        """
        number = next(self._ids)
        return number, encode_frame({**request, "id": number}, arrays)

    def write(self, buffers: list[Any]) -> None:
        """Send an encoded request; blocks while the device is busy.

        Raises:
            OSError: the probe has gone.
        """
        self._asked += 1
        write_frame(self._process.stdin, buffers)  # type: ignore[arg-type]

    def receive(
        self, number: int, *, refusals: Refusals | None = None, extra_s: float = 0.0
    ) -> tuple[dict[str, Any], Arrays]:
        """The answer to request `number`, which must be the next one to come.

        Raises:
            MeasurementError: the device was lost, is silent, refuses, or answers something else.
        """
        with self._deadline.within(self.timeout_s + extra_s):
            try:
                frame = read_frame(self._process.stdout)  # type: ignore[arg-type]
            except (WireError, OSError, ValueError) as error:
                raise self.lost(error) from error
        if frame is None:
            raise self.lost(None)
        reply, arrays = frame
        if reply.get("id") != number:
            self.give_up(f"the probe answered request {reply.get('id')}", expected=f"the answer to request {number}")
            raise self.lost(None)
        self._answered += 1
        if not reply.get("ok"):
            kind, message = str(reply.get("kind")), str(reply.get("message"))
            if refusals is not None and kind in refusals:
                raise refusals[kind](message)
            raise self.failed(f"the probe answered {kind}: {message}")
        return reply, arrays

    def failed(self, found: str, *, expected: str | None = None, fix: str | None = None) -> MeasurementError:
        """The error for something that this target did."""
        return MeasurementError(f"target '{self.target}': {found}", expected=expected, fix=fix)

    def give_up(self, found: str, *, expected: str | None = None, fix: str | None = None) -> None:
        """End the probe now; who still waits for it learns `found`."""
        self._give_up(self.failed(found, expected=expected, fix=fix))

    def count_as_lost(self, found: str) -> None:
        """End the probe now, as a device that no longer answers; who still waits for it gets a LostError."""
        self._give_up(self._lost(found, STUCK))

    def _give_up(self, error: MeasurementError) -> None:
        if self._given_up is None:
            self._given_up = error
        self._process.kill()

    def lost(self, error: BaseException | None) -> MeasurementError:
        """The error for a probe that no longer answers, with how it ended and what it last said."""
        if isinstance(error, WireError) and not isinstance(error, TruncatedError):
            self.give_up(f"the probe's answer is damaged: {error}")
        if self._given_up is not None:
            return self._given_up
        try:
            code = self._process.wait(timeout=ENDING_S)
        except subprocess.TimeoutExpired:
            self._give_up(self._lost("the probe closed its stream and kept running"))
            return self.lost(None)
        self._listener.join(timeout=ENDING_S)
        ending = self._ended(code, b"".join(self._said).decode(errors="replace").strip())
        kind = DroppedError if ending.dropped else LostError
        return kind(f"target '{self.target}': {ending.found}", fix=ending.fix)

    def _lost(self, found: str, fix: str | None = None) -> LostError:
        return LostError(f"target '{self.target}': {found}", fix=fix)

    def last_words(self) -> str:
        """End the probe, which is of no use any more; what its libraries said last."""
        self.give_up("the probe was ended")
        self._listener.join(timeout=ENDING_S)
        said = COLOUR.sub("", b"".join(self._said).decode(errors="replace"))
        return " ".join(said.split())[-MOST_WORDS:]

    @property
    def idle(self) -> bool:
        """Whether every request was answered, and the probe is still of use."""
        return self._asked == self._answered and self._given_up is None

    def close(self) -> None:
        """End the probe: by the end of its requests, by force where answers are still under way."""
        self._deadline.close()
        if self._asked != self._answered:
            # Writing to it may be blocked, and closing a stream waits for its writer.
            self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        # Waiting for a process is asking again and again; its last stream ends when it does.
        self._listener.join(timeout=CLOSING_S)
        try:
            self._process.wait(timeout=ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _silent(self, seconds: float) -> None:
        self._give_up(self._lost(f"no answer within {seconds:g} s", STUCK))

    def _listen(self) -> None:
        stream = self._process.stderr
        if stream is not None:
            for line in stream:
                self._said.append(line)
