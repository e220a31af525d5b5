"""What travels between host and device."""

import io
import json
import struct

import numpy as np

from tests.fuzz.fuzz_case import command, library
from tests.fuzz.fuzz_device import damage_with
from tests.fuzz.fuzz_mutations import change_bytes, change_value, to_json


def answers(rng, base, here):
    """A device whose answers are damaged: exit code 4, or what was judged is what an undamaged one answers."""
    chosen, kind = rng.randrange(5), rng.random()

    def damage(number, answer):
        if number != chosen:
            return answer
        magic, header_bytes, payload = struct.unpack("<4sIQ", answer[:16])
        header, rest = answer[16 : 16 + header_bytes], answer[16 + header_bytes :]
        if kind < 0.3:
            return change_bytes(rng, answer[: 16 + header_bytes]) + rest
        changed = to_json(change_value(rng, json.loads(header)))
        return struct.pack("<4sIQ", magic, len(changed), payload) + changed + rest

    damage_with(damage)
    latency = () if rng.random() < 0.5 else ("--target", "board.yaml")
    return command("verify", "fair.onnx", *(latency or ("--no-latency",)), allowed=frozenset({0, 1, 2, 3, 4}))


def frames(rng, base, here):
    """Requests and answers as bytes, read by the one function that both sides read by."""
    from edgefair.probe.wire import WireError, encode_frame, read_frame

    arrays = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "empty": np.zeros((0, 2), dtype=np.int64)}
    header = {"do": "run", "id": 3, "name": "m", "outputs": ["a"], "prepare": [], "widen": {"x": "int64"}}
    content = b"".join(bytes(part) for part in encode_frame(header, arrays))
    if rng.random() < 0.4:
        size = struct.unpack("<4sIQ", content[:16])[1]
        changed = to_json(change_value(rng, json.loads(content[16 : 16 + size])))
        damaged = struct.pack("<4sIQ", b"EFP1", len(changed), len(content) - 16 - size) + changed + content[16 + size :]
    else:
        damaged = change_bytes(rng, content)
    (here / "frame").write_bytes(damaged)
    return library("read_frame", lambda: read_frame(io.BytesIO(damaged)), refusals=(WireError,))
