"""This machine, by a subprocess: a crash of the runtime is a measurement error and not a dead command."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from edgefair.errors import MeasurementError
from edgefair.probe.device import fingerprint
from edgefair.progress import Progress
from edgefair.targets.transports.base import HERE, Ending, Transport
from edgefair.targets.transports.streams import enlarge_pipes
from edgefair.targets.transports.zipapp import build_zipapp

# Of files that are no standard streams.
FIRST_NUMBER = 3


class LocalTransport(Transport):
    """Runs the zipapp with this Python, isolated from the working folder and the environment (`-I`).

    The zipapp lies in memory, so that even a host that is killed leaves no file behind.
    """

    shares_files = True
    machine_key = HERE

    def prepare(self, progress: Progress) -> None:
        """Get what the runtime needs.

        Raises:
            MeasurementError: something that it takes is missing.
        """
        self.profile.host_runtime.prepare(progress)

    def lacks(self) -> str | None:
        """The kind of device that the profile is for, or what its runtime needs."""
        mismatch = self.profile.device.mismatch(fingerprint())
        if mismatch is not None:
            return f"{mismatch.found}; it must be {mismatch.expected}"
        return self.profile.host_runtime.lacks(self.profile.facts["session"])

    def start(self) -> subprocess.Popen[bytes]:
        """Start the probe in a process group of its own, so that Ctrl-C reaches the host alone."""
        return start_zipapp([sys.executable, "-I"], target=self.profile.name)

    def ended(self, code: int, said: str) -> Ending:
        """A signal or an exit code."""
        return process_ending(code, said)


TRANSPORT = LocalTransport


def start_zipapp(
    python: Sequence[str], *, target: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A process of this machine that runs the zipapp from memory.

    Args:
        python: a Python and its options.
        target: name of the target, for the message.

    Raises:
        MeasurementError: it cannot be started.
    """
    try:
        with os.fdopen(_above_streams(os.memfd_create("probe.pyz")), "wb") as zipapp:
            zipapp.write(build_zipapp())
            zipapp.flush()
            process = subprocess.Popen(
                [*python, f"/proc/self/fd/{zipapp.fileno()}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=[zipapp.fileno()],
                cwd="/",
                env=environment,
            )
    except OSError as error:
        raise MeasurementError(f"target '{target}': the probe cannot be started: {error}") from error
    enlarge_pipes(process)
    return process


def _above_streams(descriptor: int) -> int:
    """The same file under a number of no standard stream, which it gets where this process has closed its own."""
    higher = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST_NUMBER)
    os.close(descriptor)
    return higher


def process_ending(code: int, said: str) -> Ending:
    """How a process of this machine ended."""
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return Ending(f"the probe was lost ({ended})" + (f"; it said: {said}" if said else ""))
