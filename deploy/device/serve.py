"""Serve one bundle over HTTP, as an example of what runs on a device. Needs Python 3.9+, numpy and onnxruntime;
cryptography for --public-key, and tokenizers for a model that takes texts.

    edgefair target loader -o edgefair_runtime.zip      # on the build machine; copy it beside this file
    python3 serve.py /opt/model --port 8080             # on the device; only yours: --public-key edgefair.pub
    curl -d '{"age": [31], "job": ["cook"]}' localhost:8080

A bundle that was changed, has no verdict that ships, was judged on other devices, or with --public-key was not signed
by the owner of that key, is refused before the first answer; so is another release than --project, --policy,
--not-before and --counter demand.
"""

import argparse
import contextlib
import http.server
import json
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent / "edgefair_runtime.zip"))
from edgefair_runtime import BundleError, load

LARGEST_REQUEST = 16 << 20
# At once, and of each: the longest silence, and from its first byte to its last.
MOST_CONNECTIONS, SILENCE_S, WHOLE_S = 32, 10.0, 60.0
# What is still read, and how long, of a request that was refused: else its sender may not see the answer.
LEFTOVER, LEFTOVER_S = 1 << 20, 1.0


def handler(model):
    """A request handler that answers POST with the decisions of a model."""

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = SILENCE_S

        def do_POST(self):
            """Features by name, each a list of one value per row, in JSON."""
            try:
                raw = json.loads(self.rfile.read(self.size()))
                if not isinstance(raw, dict):
                    raise ValueError("not an object of features")
                found = model.predict(raw)
            except (ValueError, RecursionError) as error:
                return self.answer(400, {"error": str(error)})
            except OSError:
                raise  # the connection broke: there is nobody to answer
            except Exception as error:
                return self.answer(500, {"error": f"{type(error).__name__}: {error}"})
            score = None if found.score is None else found.score.tolist()
            return self.answer(200, {"decision": found.decision, "score": score, "classes": list(model.classes)})

        def size(self):
            """Bytes of the request."""
            said = self.headers.get("Content-Length", "0")
            if not said.isascii() or not said.isdecimal() or not 0 < int(said[:20]) <= LARGEST_REQUEST:
                self.close_connection = True
                raise ValueError(f"a request of {said[:20]} bytes, not 1 to {LARGEST_REQUEST}")
            return int(said)

        def answer(self, status, content):
            """Send JSON."""
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def send_error(self, code, message=None, explain=None):
            """What is no request at all is answered in JSON too."""
            self.answer(code, {"error": message or explain or "not a request"})

    return Handler


class Server(http.server.ThreadingHTTPServer):
    """A thread for each connection, of which there are so many at once, each for so long."""

    daemon_threads = True
    # That ask at the same moment: who finds no place in the queue asks again a second later, and then after two.
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, *arguments):
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(*arguments)

    def process_request(self, request, client_address):
        """Start a thread, or close the connection where there are too many."""
        if not self._free.acquire(blocking=False):
            self.close_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request, client_address):
        """Answer one connection, and end it when its time is over."""
        end = threading.Timer(WHOLE_S, _cut, [request])
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._free.release()

    def shutdown_request(self, request):
        """Say that there is no more to come, and take what the sender has under way."""
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_WR)
            request.settimeout(LEFTOVER_S)
            left = LEFTOVER
            while left > 0 and (part := request.recv(min(left, 1 << 16))):
                left -= len(part)
        self.close_request(request)

    def handle_error(self, request, client_address):  # noqa: ARG002
        """A connection that broke is its own affair."""
        print(f"{client_address[0]}: {sys.exc_info()[1]!r}", file=sys.stderr, flush=True)  # noqa: T201


def _cut(request):
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


def main():
    """Load the bundle or say why not, then serve until stopped."""
    parser = argparse.ArgumentParser(description="Serve one edgefair bundle over HTTP.")
    parser.add_argument("bundle")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--threads", type=int, help="of one inference; default: as it was judged")
    parser.add_argument("--public-key", metavar="PEM", help="serve only what the owner of this ed25519 key signed")
    parser.add_argument("--project", help="serve only releases of this project")
    parser.add_argument("--policy", metavar="SHA256", help="serve only what this policy judged")
    parser.add_argument("--not-before", metavar="DATE", help="serve only what was not judged before")
    parser.add_argument("--counter", type=int, help="serve only this release or later ones")
    parser.add_argument(
        "--library", metavar="PROVIDER=PATH", action="append", default=[], help="of a provider that is judged by one"
    )
    options = parser.parse_args()
    try:
        model = load(
            options.bundle,
            options.public_key,
            project=options.project,
            policy=options.policy,
            not_before=options.not_before,
            counter=options.counter,
            threads=options.threads,
            libraries=dict(item.split("=", 1) for item in options.library),
        )
    except (BundleError, ValueError) as error:
        sys.exit(f"error: {error}")
    server = Server((options.host, options.port), handler(model))
    print(f"serving {options.bundle} on {options.host}:{server.server_port}", flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main()
