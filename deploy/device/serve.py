"""Serve one bundle over HTTP, as an example of what runs on a device. Needs Python 3.9+, numpy and onnxruntime;
cryptography for --public-key, and tokenizers for a model that takes texts.

    edgefair target loader -o edgefair_runtime.zip      # on the build machine; copy it beside this file
    python3 serve.py /opt/model --port 8080             # on the device; only yours: --public-key edgefair.pub
    curl -d '{"age": [31], "job": ["cook"]}' localhost:8080

A bundle that was changed, has no verdict that ships, was judged on other devices, or with --public-key was not signed
by the owner of that key, is refused before the first answer.
"""

import argparse
import http.server
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "edgefair_runtime.zip"))
from edgefair_runtime import BundleError, load

LARGEST_REQUEST = 16 << 20


def handler(model):
    """A request handler that answers POST with the decisions of a model."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            """Features by name, each a list of one value per row, in JSON."""
            try:
                size = int(self.headers.get("Content-Length", 0))
                if not 0 < size <= LARGEST_REQUEST:
                    raise ValueError(f"a request of {size} bytes")
                raw = json.loads(self.rfile.read(size))
                if not isinstance(raw, dict):
                    raise ValueError("not an object of features")
                found = model.predict(raw)
            except (ValueError, TypeError) as error:
                return self.answer(400, {"error": str(error)})
            except ImportError as error:
                return self.answer(500, {"error": str(error)})
            score = None if found.score is None else found.score.tolist()
            return self.answer(200, {"decision": found.decision, "score": score, "classes": list(model.classes)})

        def answer(self, status, content):
            """Send JSON."""
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def main():
    """Load the bundle or say why not, then serve until stopped."""
    parser = argparse.ArgumentParser(description="Serve one edgefair bundle over HTTP.")
    parser.add_argument("bundle")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--public-key", metavar="PEM", help="serve only what the owner of this ed25519 key signed")
    options = parser.parse_args()
    try:
        model = load(options.bundle, options.public_key, threads=options.threads)
    except BundleError as error:
        sys.exit(f"error: {error}")
    server = http.server.HTTPServer((options.host, options.port), handler(model))
    print(f"serving {options.bundle} on {options.host}:{server.server_port}", flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main()
