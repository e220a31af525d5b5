"""The batches of one run on their way to the device, and a model file on its way there."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgefair.probe.inputs.narrow import narrowed
from edgefair.probe.inputs.prepare import needs_preparation
from edgefair.probe.onnx_files.spec import InputSpec, input_json
from edgefair.probe.wire import digest_arrays
from edgefair.targets.connection import Arrays, Connection

# Batches that may be under way: one at work on the device, one waiting there.
AHEAD = 2
CHUNK_BYTES = 4 << 20


@dataclass(frozen=True)
class Sent:
    """A request that was or will be written.

    Attributes:
        arrays: as they travel.
    """

    number: int
    arrays: Arrays

    @property
    def rows(self) -> int:
        """How many it asks about."""
        return len(next(iter(self.arrays.values())))

    @property
    def inputs(self) -> str:
        """Digest of its arrays, which the answer must repeat."""
        return digest_arrays(self.arrays)


class Sender:
    """Encodes and sends the batches of one run in a thread of its own.

    Attributes:
        sent: every request, in order, before it is written; None after the last.
        failure: what `batches` or their encoding raised, once `sent` has ended.
    """

    def __init__(self, connection: Connection, header: Mapping[str, Any], batches: Iterator[Arrays]) -> None:
        self.sent: queue.SimpleQueue[Sent | None] = queue.SimpleQueue()
        self.failure: BaseException | None = None
        self._free = threading.Semaphore(AHEAD)
        self._unanswered: deque[Arrays] = deque()
        self._connection = connection
        self._header = header
        self._batches = batches
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def answered(self) -> None:
        """The oldest request has its answer: give its place to the next."""
        self._unanswered.popleft()
        self._free.release()

    def stop(self) -> None:
        """Send no more."""
        self._stopped.set()
        self._free.release()

    def take_back(self) -> list[Arrays]:
        """Stop, and return the batches that have no answer, in order. The connection must be lost already."""
        self.stop()
        self._thread.join()
        return list(self._unanswered)

    def _send(self) -> None:
        try:
            while not self._stopped.is_set() and (batch := next(self._batches, None)) is not None:
                self._unanswered.append(batch)
                arrays, types = narrowed(batch)
                number, buffers = self._connection.encode({**self._header, "widen": types}, arrays)
                self._free.acquire()
                if self._stopped.is_set():
                    return
                self.sent.put(Sent(number, arrays))
                try:
                    self._connection.write(buffers)
                except OSError:
                    return  # the reader of the answers finds out how the probe ended
        except BaseException as error:
            self.failure = error
        finally:
            self.sent.put(None)


def send_file(connection: Connection, path: Path, *, sha256: str, size: int) -> str:
    """Bring a file to the device, from where an earlier attempt broke off; the path that it has there.

    Raises:
        MeasurementError: the device was lost, or cannot keep the file.
    """
    request = {"do": "store", "sha256": sha256, "size": size}
    empty = np.empty(0, dtype=np.uint8)
    reply, _ = connection.ask({**request, "offset": 0}, {"chunk": empty})
    with path.open("rb") as stream:
        while (have := reply.get("have")) != size:
            if not isinstance(have, int) or not 0 <= have < size:
                raise connection.failed(f"the device reports {have} of {size} bytes of '{path}'")
            stream.seek(have)
            chunk = np.frombuffer(stream.read(CHUNK_BYTES), dtype=np.uint8)
            if not len(chunk):
                raise connection.failed(f"'{path}' shrank while it was being sent")
            reply, _ = connection.ask({**request, "offset": have}, {"chunk": chunk})
            if reply.get("have") == have:
                raise connection.failed(f"the device accepts no more than {have} of {size} bytes of '{path}'")
    return str(reply.get("path"))


def preparation(inputs: Sequence[InputSpec]) -> list[dict[str, Any]]:
    """What the device does to the inputs that take something else than what travels."""
    return [input_json(item) for item in inputs if needs_preparation(item)]
