"""The probe: answers requests on stdin with frames on stdout until stdin ends.

Requests (header keys `do` and `id`): hello, store, tidy, load, run, footprint, nodes, latency. Every answer repeats the
`id` and has `ok`; one that is not ok has `kind` and `message`. A folder on the command line is where `store` keeps
files. stdout belongs to the frames alone: file descriptor 1 is pointed at stderr before any library is loaded.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, NamedTuple, Optional, Tuple

frames = os.fdopen(os.dup(1), "wb", buffering=1 << 20)
os.dup2(2, 1)

import numpy as np  # noqa: E402

from edgefair.probe.clock import latency  # noqa: E402
from edgefair.probe.clock.energy import find_meter, per_query  # noqa: E402
from edgefair.probe.clock.footprint import footprint  # noqa: E402
from edgefair.probe.clock.nodes import node_times  # noqa: E402
from edgefair.probe.clock.pinning import pinned  # noqa: E402
from edgefair.probe.device import conditions, fingerprint  # noqa: E402
from edgefair.probe.errors import ProbeError  # noqa: E402
from edgefair.probe.inputs.narrow import widened  # noqa: E402
from edgefair.probe.inputs.prepare import prepare  # noqa: E402
from edgefair.probe.onnx_files.spec_check import input_from_json  # noqa: E402
from edgefair.probe.runtimes.models import Loaded, load  # noqa: E402
from edgefair.probe.storage import Storage  # noqa: E402
from edgefair.probe.wire import PROTOCOL, digest_arrays, encode_frame, read_frame, write_frame  # noqa: E402

Arrays = Dict[str, np.ndarray]


class Asked(NamedTuple):
    """A request; where it is one to run rows, their digest, and the rows as the model takes them, or why that fails."""

    request: Dict[str, Any]
    arrays: Arrays
    digest: str = ""
    failure: Optional[Exception] = None


class Server:
    """The state of one connection: the loaded models by name, and the files that were sent."""

    def __init__(self, storage: Optional[Storage]) -> None:
        self.models: Dict[str, Loaded] = {}
        self.storage = storage

    def answer(self, asked: Asked) -> Tuple[Dict[str, Any], Arrays]:
        """The reply to one request."""
        if asked.failure is not None:
            raise asked.failure
        request, arrays = asked.request, asked.arrays
        do = request.get("do")
        if do == "hello":
            return {"protocol": PROTOCOL, "device": fingerprint(request["emulated"])}, {}
        if do == "store" and self.storage is not None:
            return self.storage.store(request["sha256"], request["size"], request["offset"], arrays["chunk"]), {}
        if do == "tidy" and self.storage is not None:
            self.storage.tidy()
            return {}, {}
        if do == "load":
            self.models[request["name"]] = load(request["path"], request["options"])
            return self.models[request["name"]].describe(), {}
        if do == "run":
            model, one_by_one = self.models[request["name"]], request.get("one_by_one", False)
            return {"inputs": asked.digest}, model.run(arrays, request["outputs"], one_by_one=one_by_one)
        if do == "footprint":
            return self._footprint(request, _prepared(request, arrays)), {}
        if do == "nodes":
            return {"nodes": self._nodes(request, _prepared(request, arrays))}, {}
        if do == "latency":
            return self._latency(request, _prepared(request, arrays))
        raise ProbeError("bad_request", f"unknown request {do!r}")

    def _nodes(self, request: Dict[str, Any], row: Arrays) -> Dict[str, float]:
        with pinned(request["threads"]):
            return node_times(
                lambda prefix: load(request["path"], {**request["options"], "profile": prefix}), row, request["outputs"]
            )

    def _footprint(self, request: Dict[str, Any], row: Arrays) -> Dict[str, Any]:
        """What it takes to load a model, on as many cores as its queries are timed on, and to ask it."""
        name = request["name"]
        with pinned(request["threads"]):
            return footprint(
                self.models[name], lambda: load(request["path"], request["options"]), row, request["outputs"]
            )

    def _latency(self, request: Dict[str, Any], pool: Arrays) -> Tuple[Dict[str, Any], Arrays]:
        """Query times, where and under which conditions they were taken, and what energy the queries took."""
        outputs = request["outputs"]
        chosen = {name: self.models[name] for name in outputs}
        here = not latency.is_elsewhere(chosen)
        with pinned(request["threads"]) if here else contextlib.nullcontext() as cores:
            core = cores[0] if cores else 0
            before = conditions(core)
            times = latency.measure(chosen, pool, outputs, **request["rules"])
            after = conditions(core)
            meter = find_meter() if request["energy"] and here else None
            used = None if meter is None else per_query(meter, latency.queries(chosen, pool, outputs))
        return {"pinned": cores, "before": before, "after": after, "energy": used}, times


def _prepared(request: Dict[str, Any], arrays: Arrays) -> Arrays:
    return prepare(arrays, [input_from_json(item) for item in request["prepare"]])


def read_ahead(requests: BinaryIO, waiting: "queue.Queue[Asked]") -> None:
    """Read the next request, digest its rows and prepare them, while the runtime is at work on this one; end the probe
    when there is no next one.

    It ends at once, whatever it was doing: nobody is left to read an answer, and a host that was killed must not leave
    a busy device behind.
    """
    try:
        while True:
            frame = read_frame(requests)
            if frame is None:
                os._exit(0)
            waiting.put(ready(*frame))
    except BaseException as error:
        os.write(2, f"probe: {error}\n".encode())
        os._exit(1)


def ready(request: Dict[str, Any], arrays: Arrays) -> Asked:
    """A request that was read, with its rows prepared, so that the runtime need not wait for that."""
    if request.get("do") != "run":
        return Asked(request, arrays)
    digest = digest_arrays(arrays)
    try:
        return Asked(request, _prepared(request, widened(arrays, request["widen"])), digest)
    except Exception as error:
        return Asked(request, {}, digest, error)


def reply(server: Server, asked: Asked) -> List[Any]:
    """The frame that answers one request, whatever happens."""
    number = asked.request.get("id")
    try:
        answer, outputs = server.answer(asked)
        return encode_frame({"ok": True, "id": number, **answer}, outputs)
    except ProbeError as error:
        kind, message = error.kind, str(error)
    except MemoryError as error:
        kind, message = "out_of_memory", str(error)
    except Exception as error:
        kind, message = "bad_request", f"{type(error).__name__}: {error}"
    return encode_frame({"ok": False, "id": number, "kind": kind, "message": message})


def main() -> None:
    """Answer until the requests end."""
    server = Server(Storage(Path(sys.argv[1])) if len(sys.argv) > 1 else None)
    # One request waits here and one is being read and prepared: the host sees to it that it is no larger than a batch.
    waiting: "queue.Queue[Asked]" = queue.Queue(maxsize=1)
    threading.Thread(target=read_ahead, args=(sys.stdin.buffer, waiting), daemon=True).start()
    try:
        while True:
            write_frame(frames, reply(server, waiting.get()))
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
