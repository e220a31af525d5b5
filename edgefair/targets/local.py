"""This machine, by a subprocess: a crash of the runtime is a measurement error and not a dead command."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from pathlib import Path

from edgefair.errors import MeasurementError
from edgefair.targets.profile import TargetProfile
from edgefair.targets.zipapp import build_zipapp

# What Linux lets any user have: a batch that fits is written at once, not in 64 KiB pieces with a switch after each.
PIPE_BYTES = 1 << 20


class LocalTransport:
    """Runs the zipapp with this Python, isolated from the working folder and the environment (`-I`).

    The zipapp lies in memory, so that even a host that is killed leaves no file behind.
    """

    def __init__(self, profile: TargetProfile) -> None:
        self.profile = profile

    def start(self) -> subprocess.Popen[bytes]:
        """Start the probe in a process group of its own, so that Ctrl-C reaches the host alone."""
        try:
            with os.fdopen(os.memfd_create("probe.pyz"), "wb") as zipapp:
                zipapp.write(build_zipapp())
                zipapp.flush()
                process = subprocess.Popen(
                    [sys.executable, "-I", f"/proc/self/fd/{zipapp.fileno()}"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    pass_fds=[zipapp.fileno()],
                    cwd="/",
                )
        except OSError as error:
            raise MeasurementError(f"target '{self.profile.name}': the probe cannot be started: {error}") from error
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, PIPE_BYTES)  # type: ignore[arg-type]
        return process

    def put(self, path: Path) -> str:
        """The device is this machine: the file is where it is."""
        return str(path.resolve())

    def stop(self) -> None:
        """There is nothing to remove."""
