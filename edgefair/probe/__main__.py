"""The probe: answers requests on stdin with frames on stdout until stdin ends.

Requests (header key `do`): hello, load, run, latency. Every answer has `ok`; one that is not ok has `kind` and
`message`. stdout belongs to the frames alone: file descriptor 1 is pointed at stderr before any library is loaded.
"""

from __future__ import annotations

import os
import sys
from typing import Any, BinaryIO, Dict, Tuple

frames = os.fdopen(os.dup(1), "wb", buffering=1 << 20)
os.dup2(2, 1)

import numpy as np  # noqa: E402

from edgefair.probe import latency  # noqa: E402
from edgefair.probe.device import fingerprint  # noqa: E402
from edgefair.probe.models import Loaded, ProbeError, load  # noqa: E402
from edgefair.probe.wire import PROTOCOL, WireError, read_frame, write_frame  # noqa: E402

Arrays = Dict[str, np.ndarray]


class Server:
    """The state of one connection: the loaded models by name."""

    def __init__(self) -> None:
        self.models: Dict[str, Loaded] = {}

    def answer(self, request: Dict[str, Any], arrays: Arrays) -> Tuple[Dict[str, Any], Arrays]:
        """The reply to one request."""
        do = request.get("do")
        if do == "hello":
            return {"protocol": PROTOCOL, "device": fingerprint()}, {}
        if do == "load":
            self.models[request["name"]] = load(request["path"], request["options"])
            return self.models[request["name"]].describe(), {}
        if do == "run":
            return {}, self.models[request["name"]].run(arrays, request["outputs"])
        if do == "latency":
            chosen = {name: self.models[name] for name in request["outputs"]}
            return {}, latency.measure(chosen, arrays, request["outputs"], **request["rules"])
        raise ProbeError("bad_request", f"unknown request {do!r}")


def serve(requests: BinaryIO, replies: BinaryIO) -> int:
    """Answer until the requests end; the exit code."""
    server = Server()
    while True:
        try:
            frame = read_frame(requests)
        except WireError as error:
            sys.stderr.write(f"probe: {error}\n")
            return 1
        if frame is None:
            return 0
        try:
            reply, arrays = server.answer(*frame)
        except ProbeError as error:
            reply, arrays = {"ok": False, "kind": error.kind, "message": str(error)}, {}
        except Exception as error:
            reply, arrays = {"ok": False, "kind": "bad_request", "message": f"{type(error).__name__}: {error}"}, {}
        try:
            write_frame(replies, {"ok": True, **reply}, arrays)
        except BrokenPipeError:
            return 0


if __name__ == "__main__":
    sys.exit(serve(sys.stdin.buffer, frames))
