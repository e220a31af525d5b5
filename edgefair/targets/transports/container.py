"""A container of a local image, run by docker or podman: the software of a device on this machine's processor."""

from __future__ import annotations

import contextlib
import re
import secrets
import signal
import subprocess
from typing import Any

from edgefair.errors import MeasurementError
from edgefair.probe.boot import SIGNALLED, UNAVAILABLE
from edgefair.progress import Progress
from edgefair.targets.transports.base import HERE, Ending, Reached, Section, Transport
from edgefair.targets.transports.bootstrap import ARGUMENTS, preamble
from edgefair.targets.transports.images import ANSWER_S, NEEDS, ContainerSettings, identified
from edgefair.targets.transports.local import process_ending
from edgefair.targets.transports.streams import enlarge_pipes

# Nothing of this machine is shared with the container and nothing of it stays: no network, no files, no privileges,
# and no log, which would keep every frame.
OPTIONS = (
    "--rm", "--interactive", "--pull=never", "--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL",
    "--security-opt=no-new-privileges", "--log-driver=none", "--workdir=/", "--stop-signal=SIGKILL",
)  # fmt: skip
PREFIX = "edgefair-"
FOLDER = "/tmp/edgefair"  # noqa: S108 - in the container's own memory
CANNOT_RUN, NOT_FOUND = 126, 127
# What is said where the image is to blame: pattern, what it means, what to do.
BLAME = (
    (
        r"exec format error",
        "it is built for another architecture",
        "use an image for this one, or install qemu-user-static, whose emulation the kernel then uses",
    ),
    (r"No module named '?numpy", "its Python has no numpy", f"take {NEEDS}"),
)  # fmt: skip


class ContainerTransport(Transport):
    """Runs the zipapp from the memory of a container, behind one engine process that carries everything."""

    section = Section("container", ContainerSettings, "The image of transport container.")
    shares_files = False
    machine_key = HERE

    settings: ContainerSettings

    def __init__(self, profile: Reached) -> None:
        super().__init__(profile)
        self._name = ""
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def emulates(settings: ContainerSettings) -> str | None:
        """The kernel, where the image is made for another kind of processor."""
        return f"this machine, for a container of {settings.architecture}" if settings.foreign else None

    @property
    def identity(self) -> dict[str, Any]:
        """With the image and what it may use."""
        return {"container": self.settings.identity, **super().identity}

    def identified(self) -> dict[str, Any]:
        """With the engine, and with the image's id and architecture: no later start takes another of that name.

        An image that is made for another kind of processor runs emulated, if at all: it does not measure latency.
        """
        self.settings = identified(self.profile.name, self.settings)
        measured = self.profile.latency.measured and not self.settings.foreign
        latency = self.profile.latency.model_copy(update={"measured": measured})
        return {self.section.key: self.settings, "latency": latency}

    def prepare(self, progress: Progress) -> None:
        """Look for the engine and the image. Getting it is left to whoever knows where it comes from.

        Raises:
            MeasurementError: one is missing.
        """
        progress.stage(f"looking for image {self.settings.image}")
        self.identified()

    def lacks(self) -> str | None:
        """The engine, or the image."""
        try:
            self.identified()
        except MeasurementError as error:
            return error.found
        return None

    def start(self) -> subprocess.Popen[bytes]:
        """Start a container of the very image that was looked at, and send the zipapp in front of the first request.

        Raises:
            MeasurementError: the engine or the image is missing, or the engine cannot be started.
        """
        self.identified()
        settings, self._name = self.settings, PREFIX + secrets.token_hex(8)
        limits = [] if settings.cpus is None else [f"--cpus={settings.cpus:g}"]
        if settings.memory is not None:
            limits += [f"--memory={settings.memory}", f"--memory-swap={settings.memory}"]
        command = [str(settings.engine), "run", *OPTIONS, *limits, f"--name={self._name}"]
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                [*command, f"--entrypoint={settings.python}", str(settings.id), *ARGUMENTS],
                stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, cwd="/",
            )  # fmt: skip
        except OSError as error:
            raise MeasurementError(f"target '{self.profile.name}': {settings.engine} cannot be run: {error}") from error
        self._process = process
        enlarge_pipes(process)
        boot = {"folder": FOLDER, "python": settings.python, "session": self._name, "only_clean": False}
        with contextlib.suppress(OSError):  # whoever reads its answers finds out how it ended
            for part in preamble(boot):
                process.stdin.write(part)  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
        return process

    def ended(self, code: int, said: str) -> Ending:
        """The engine's failures, the image's, and the probe's."""
        if code < 0:
            return process_ending(code, said)
        said, image = said or "nothing", self.settings.image
        for pattern, meaning, fix in BLAME:
            if re.search(pattern, said):
                return Ending(f"image '{image}' cannot be used: {meaning}; it said: {said}", fix)
        if code > SIGNALLED:
            return self._killed(code, said)
        fixes = {
            CANNOT_RUN: "set its Python under container.python in the profile",
            NOT_FOUND: f"set its Python under container.python in the profile, or use {NEEDS}",
            UNAVAILABLE: f"take {NEEDS}",
        }
        return Ending(f"the probe was lost (exit code {code}); it said: {said}", fixes.get(code))

    def _killed(self, code: int, said: str) -> Ending:
        try:
            name = signal.Signals(code - SIGNALLED).name
        except ValueError:
            name = f"signal {code - SIGNALLED}"
        fix = None
        if self.settings.foreign:
            fix = "emulated under this machine's /proc/cpuinfo onnxruntime may crash; `qemu:` targets show their own"
        if name == "SIGKILL":
            given = self.settings.memory
            more = "" if given is None else f": the container may use {given}, raise container.memory in the profile"
            fix = f"out of memory? The kernel then kills the largest process{more}"
        return Ending(f"the probe was killed by {name} in the container (exit code {code}); it said: {said}", fix)

    def stop(self) -> None:
        """Remove the container, unless it ended by itself and was removed with that."""
        process, self._process = self._process, None
        if process is None or process.returncode == 0:
            return
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [str(self.settings.engine), "rm", "--force", "--volumes", self._name],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_S, check=False,
            )  # fmt: skip


TRANSPORT = ContainerTransport
