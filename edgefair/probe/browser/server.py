"""The page's files and its questions, on loopback and behind a path that nobody else knows."""

from __future__ import annotations

import queue
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import numpy as np

from edgefair.probe.wire import read_frame, write_frame

TYPES = {".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}
# Isolated from all other origins, a page may have threads and a clock of 5 us; the policy lets it load and ask nothing
# but what this server has.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
TURN = "turn"
Frame = Tuple[Dict[str, Any], Dict[str, np.ndarray]]


class PageServer:
    """Serves one page, whose turns carry an answer here and the next request there.

    Attributes:
        address: of the page, which is the file `index.html`.
        requests: frames for the page, as `encode_frame` makes them; None sends it away.
        answers: what the page hands in, in order; None, once, when it has begun; a text where none will come any more.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.requests: "queue.Queue[Optional[List[Any]]]" = queue.Queue()
        self.answers: "queue.Queue[Union[Frame, str, None]]" = queue.Queue()
        folder = f"/{secrets.token_urlsafe(32)}/"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(folder, files, self))
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}{folder}index.html"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self.requests.put(None)
        self._server.shutdown()
        self._server.server_close()


def _handler(folder: str, files: Mapping[str, bytes], server: PageServer) -> type:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Buffered, and sent at once where it is flushed: a turn costs a query's time otherwise.
        wbufsize = 1 << 16
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            """One of the page's files."""
            name = self.path[len(folder) :] if self.path.startswith(folder) else ""
            if name not in files:
                self.send_error(404)
                return
            self._answer(TYPES[PurePosixPath(name).suffix], [files[name]])

        def do_POST(self) -> None:
            """A turn."""
            if self.path != folder + TURN:
                self.send_error(404)
                return
            length = int(self.headers["Content-Length"])
            server.answers.put(read_frame(self.rfile) if length else None)  # type: ignore[arg-type]
            request = server.requests.get()
            if request is None:
                self.send_error(410)
                return
            self._answer("application/octet-stream", request)

        def _answer(self, kind: str, buffers: List[Any]) -> None:
            self.send_response(200)
            for name, value in {**HEADERS, "Content-Type": kind}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(sum(memoryview(buffer).nbytes for buffer in buffers)))
            self.end_headers()
            write_frame(self.wfile, buffers)  # type: ignore[arg-type]

        def log_message(self, *_: Any) -> None:
            """Nothing: what goes wrong is seen where the answer is awaited."""

    return Handler
