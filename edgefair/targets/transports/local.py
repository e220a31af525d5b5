"""This machine, by a subprocess: a crash of the runtime is a measurement error and not a dead command."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgefair.errors import MeasurementError
from edgefair.files import cache_folder, write_atomic
from edgefair.probe.device import fingerprint
from edgefair.probe.system.linux import memory_file, path_of
from edgefair.progress import Progress
from edgefair.targets.transports.base import HERE, Ending, Transport
from edgefair.targets.transports.streams import enlarge_pipes
from edgefair.targets.transports.zipapp import build_compiled, build_zipapp

# What keeps Ctrl-C from the probe on Windows, where there are no sessions.
NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


class LocalTransport(Transport):
    """Runs the zipapp with this Python, isolated from the working folder and the environment (`-I`).

    The zipapp lies in memory where the system has such files, so that even a host that is killed leaves none behind;
    elsewhere it is kept in the cache, under its digest.
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
        with _zipapp() as (path, descriptors):
            process = subprocess.Popen(
                [*python, path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                creationflags=NEW_GROUP,
                pass_fds=descriptors,
                cwd="/",
                env=environment,
            )
    except OSError as error:
        raise MeasurementError(f"target '{target}': the probe cannot be started: {error}") from error
    enlarge_pipes(process)
    return process


@contextmanager
def _zipapp() -> Iterator[tuple[str, tuple[int, ...]]]:
    """The path of the zipapp for a process that is started meanwhile, and the descriptors that it needs for that."""
    descriptor = memory_file("probe.pyz", build_compiled())
    if descriptor is None:
        yield str(_kept(build_zipapp())), ()
        return
    try:
        yield path_of(descriptor), (descriptor,)
    finally:
        os.close(descriptor)


def _kept(content: bytes) -> Path:
    """The zipapp as a file, which is made where it is not there, or was changed."""
    path = cache_folder("probe") / f"{hashlib.sha256(content).hexdigest()}.pyz"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_bytes() != content:
        write_atomic(path, content, private=True)
    return path


def process_ending(code: int, said: str) -> Ending:
    """How a process of this machine ended."""
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return Ending(f"the probe was lost ({ended})" + (f"; it said: {said}" if said else ""))
