"""Probes that a test can reach into, and programs in the place of one."""

import subprocess
import sys
from pathlib import Path

import edgefair
from edgefair.files import sha256_file
from edgefair.targets import Probe, load_profile
from edgefair.targets.transports.local import LocalTransport
from tests.targets import warm

ROOT = str(Path(edgefair.__file__).parent.parent)
PROFILE = load_profile("local")


class Watched(LocalTransport):
    """The local transport, with its process in reach of the test."""

    def __init__(self):
        super().__init__(PROFILE)

    def start(self):
        self.process = super().start()
        return self.process


class Scripted(LocalTransport):
    """The local transport with another program in the place of the probe."""

    def __init__(self, script):
        super().__init__(PROFILE)
        self.script = script

    def start(self):
        script = "import sys\n" + self.script
        return warm.script_started(script) or subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )


def scripted(script, *, timeout_s=60):
    return Probe(PROFILE, Scripted(script), timeout_s=timeout_s)


# A probe that answers as `LIES` (header key or array name -> Python expression, by request) says.
LYING = """
import numpy as np
from edgefair.probe.onnx_files.onnx_file import read_onnx
from edgefair.probe.wire import PROTOCOL, digest_arrays, encode_frame, read_frame, write_frame
METER = {"source": "RAPL", "covers": "it"}
file = read_onnx(CONTENT)
def shaped(item, **changes):
    return {**item, "shape": item["shape"] or [], **changes}
truth = {
    "hello": ({"protocol": PROTOCOL, "device": {"onnxruntime": "1"}}, {}),
    "load": ({"sha256": DIGEST, "bytes": len(CONTENT), "inputs": [shaped(item) for item in file.inputs],
              "outputs": [shaped(item) for item in file.outputs], "metadata": file.metadata,
              "providers": ["CPUExecutionProvider"]}, {}),
    "run": ({}, {"decision": np.zeros(10, dtype=np.int64), "score": np.zeros(10, dtype=np.float32)}),
    "latency": ({}, {"m": np.ones(100, dtype=np.int64)}),
}
while (frame := read_frame(sys.stdin.buffer)) is not None:
    do = frame[0]["do"]
    header, arrays = truth[do]
    arrays = {name: array for name, array in arrays.items() if do != "run" or name in frame[0]["outputs"]}
    header = {"ok": True, "id": frame[0]["id"], "inputs": digest_arrays(frame[1]), **header}
    for lied, key, lie in LIES:
        if lied == do:
            (arrays if key in arrays else header)[key] = lie
    write_frame(sys.stdout.buffer, encode_frame(header, arrays))
"""


def lying(path, lies):
    told = "[" + ", ".join(f"({do!r}, {key!r}, {lie})" for do, key, lie in lies) + "]"
    script = LYING.replace("DIGEST", repr(sha256_file(path))).replace("CONTENT", repr(path.read_bytes()))
    return scripted(script.replace("LIES", told))
