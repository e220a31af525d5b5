"""How the probe starts on a machine that shares no files with this one: all it takes arrives on its stdin."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from edgefair.targets.transports.zipapp import build_zipapp

# Reads its settings and the zipapp from stdin, each with its length in front, and not one byte more. In base64 it
# passes unchanged through every login shell.
BOOT = """\
import json, os, sys
def take():
    return exactly(int.from_bytes(exactly(8), "little"))
def exactly(count):
    parts = []
    while count:
        part = os.read(0, min(count, 1 << 20))
        if not part:
            os._exit(1)
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
settings, zipapp = json.loads(take()), take()
memory = os.memfd_create("probe.pyz")
os.write(memory, zipapp)
sys.path.insert(0, "/proc/self/fd/%d" % memory)
from edgefair.probe import boot
boot.main(memory, settings)
"""
BOOTSTRAP = f"import base64;exec(base64.b64decode('{base64.b64encode(BOOT.encode()).decode()}'))"
# Options of the Python that runs it.
ARGUMENTS = ("-I", "-c", BOOTSTRAP)


def preamble(settings: Mapping[str, Any]) -> list[bytes]:
    """What BOOT reads before the first request: the settings of `probe.boot.main`, and the zipapp."""
    parts = (json.dumps(settings).encode(), build_zipapp())
    return [piece for part in parts for piece in (len(part).to_bytes(8, "little"), part)]
