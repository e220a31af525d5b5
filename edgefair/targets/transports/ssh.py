"""A machine behind OpenSSH: the user's own configuration, agent and known hosts, and never a question."""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import signal
import subprocess
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from edgefair.errors import MeasurementError
from edgefair.probe.boot import BUSY, NO_FOLDER, SIGNALLED, UNAVAILABLE
from edgefair.progress import Progress
from edgefair.targets.transports.base import Ending, Reached, Section, Transport
from edgefair.targets.transports.bootstrap import ARGUMENTS, preamble
from edgefair.targets.transports.streams import enlarge_pipes
from edgefair.versions import version_of

# No option of ssh's, and nothing that a shell could take for more than a name.
HOST = r"^([A-Za-z0-9_][A-Za-z0-9_.+-]*@)?[A-Za-z0-9_:][A-Za-z0-9_.:-]*$"
# Keys and hosts are never asked about, a machine that went away is noticed, and nothing else of the user's
# configuration can get between (forwardings, a remote command, a terminal).
OPTIONS = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=15", "ServerAliveInterval=15",
    "ServerAliveCountMax=3", "ClearAllForwardings=yes", "RemoteCommand=none", "PermitLocalCommand=no",
)  # fmt: skip
SSH_FAILED, NO_PYTHON = 255, 127
CLEANING_S = 20.0
# What ssh says where trying again would change nothing: pattern, what it means, what to do.
REFUSALS = (
    (
        r"Host key for .* has changed|HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one in known_hosts: another machine answers, or it was reinstalled",
        "if it was reinstalled, remove the old key with `ssh-keygen -R HOST` and connect once manually",
    ),
    (
        r"No .* host key is known|Host key verification failed",
        "its host key is unknown",
        "connect once manually with `ssh HOST` and compare the key, or add it to known_hosts",
    ),
    (
        r"Permission denied|Too many authentication failures",
        "it denies this user access",
        "give it your public key (`ssh-copy-id HOST`); passwords are neither asked for nor accepted",
    ),
    (
        r"Could not resolve hostname|Name or service not known",
        "its name cannot be resolved",
        "check the name, or give the machine a Host entry in ~/.ssh/config",
    ),
    (
        r"Bad configuration option|Can't open user config file|Bad owner or permissions|[Uu]nsupported option",
        "ssh cannot use its configuration",
        "fix the option it names",
    ),
)  # fmt: skip
UNREACHABLE = r"Connection refused|Connection timed out|No route to host|Network is unreachable|Operation timed out"


class SshSettings(BaseModel):
    """How a machine behind OpenSSH is reached, and where the probe finds a Python there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(pattern=HOST, description="host or user@host, or a Host entry of the ssh configuration.")
    port: int | None = Field(None, ge=1, le=65535, description="Default: the ssh configuration's.")
    config: Path | None = Field(None, description="An OpenSSH client configuration in place of the user's own.")
    folder: str = Field("~/.cache/edgefair", pattern="^(~/|/)", description="Where the device keeps what was sent.")
    python: str | None = Field(
        None,
        pattern="^/",
        description="A Python there with numpy and onnxruntime. Default: a virtual environment is made.",
    )
    packages: tuple[str, ...] = Field(
        (), description="What to install into it. Default: numpy and this machine's version of onnxruntime."
    )


class SshTransport(Transport):
    """Runs the zipapp from the memory of the device, behind one `ssh` process that carries everything."""

    section = Section("ssh", SshSettings, "The machine of transport ssh.")
    shares_files = False

    def __init__(self, profile: Reached) -> None:
        super().__init__(profile)
        self._session = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self._ran = False

    @property
    def machine_key(self) -> Hashable:
        """The host and its port, whoever the user is."""
        return self.settings.host.rpartition("@")[2].lower(), self.settings.port

    def prepare(self, progress: Progress) -> None:
        """The first start makes the virtual environment."""
        progress.stage(f"connecting to {self.settings.host}")

    def lacks(self) -> str | None:
        """Nothing that could be known from here."""
        return None

    def start(self) -> subprocess.Popen[bytes]:
        """Connect, and send the settings and the zipapp in front of the first request."""
        python = shlex.join([self.settings.python or "python3", *ARGUMENTS])
        # The shell waits, so that its exit code tells of a probe that was killed: ssh says 255 for that and for a
        # connection that broke.
        process = self._ssh(f"exec sh -c {shlex.quote(f'{python}; exit $?')}")
        self._process, self._ran = process, True
        enlarge_pipes(process)
        with contextlib.suppress(OSError):  # whoever reads its answers finds out how it ended
            for part in preamble(self._boot_settings(only_clean=False)):
                process.stdin.write(part)  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
        return process

    def ended(self, code: int, said: str) -> Ending:
        """ssh's own failures, the starter's, and the probe's."""
        said = said or "nothing"
        if code == SSH_FAILED or code < 0:
            return self._ssh_ended(said)
        if code > SIGNALLED:
            name = signal.Signals(code - SIGNALLED).name
            memory = "out of memory? The kernel then kills the largest process" if name == "SIGKILL" else None
            return Ending(f"the probe was killed by {name} on the device; it said: {said}", memory)
        fixes = {
            NO_PYTHON: "install Python 3.9 or newer on the device, or set one under ssh.python in the profile",
            BUSY: "wait until it is free",
            NO_FOLDER: "set ssh.folder in the profile to a folder that can be written",
            UNAVAILABLE: "or set a Python with numpy and onnxruntime under ssh.python in the profile",
        }
        self._ran = code not in fixes
        return Ending(f"the probe was lost (exit code {code}); it said: {said}", fixes.get(code))

    def _ssh_ended(self, said: str) -> Ending:
        host = self.settings.host
        for pattern, meaning, fix in REFUSALS:
            if re.search(pattern, said):
                self._ran = False
                return Ending(f"'{host}' cannot be used: {meaning}; ssh said: {said}", fix.replace("HOST", host))
        self._ran = re.search(UNREACHABLE, said) is None
        found = "the connection was lost" if self._ran else "it cannot be reached"
        return Ending(f"'{host}': {found}; ssh said: {said}", "is it on, and is the network up?", dropped=True)

    def stop(self) -> None:
        """Where the probe did not end by itself, end it, and remove a file that did not arrive whole."""
        process, self._process = self._process, None
        if process is None or process.returncode == 0 or not self._ran:
            return
        with contextlib.suppress(MeasurementError):  # the next session on this device removes it
            cleaning = self._ssh(shlex.join([self.settings.python or "python3", *ARGUMENTS]))
            try:
                cleaning.communicate(b"".join(preamble(self._boot_settings(only_clean=True))), timeout=CLEANING_S)
            except subprocess.TimeoutExpired:
                cleaning.kill()
                cleaning.communicate()

    def _boot_settings(self, *, only_clean: bool) -> dict[str, Any]:
        return {
            "folder": self.settings.folder,
            "python": self.settings.python,
            "packages": list(self.settings.packages or _own_versions(self.profile.host_runtime.packages)),
            "session": self._session,
            "only_clean": only_clean,
        }

    def _ssh(self, remote: str) -> subprocess.Popen[bytes]:
        settings = self.settings
        command = ["ssh", "-T", *(part for option in OPTIONS for part in ("-o", option))]
        command += [] if settings.config is None else ["-F", str(settings.config)]
        command += [] if settings.port is None else ["-p", str(settings.port)]
        pipe = subprocess.PIPE
        try:
            return subprocess.Popen(
                [*command, "--", settings.host, remote],
                stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, cwd="/",
            )  # fmt: skip
        except OSError as error:
            raise MeasurementError(
                f"target '{self.profile.name}': ssh cannot be started: {error}", fix="install the OpenSSH client"
            ) from error


def _own_versions(packages: Sequence[str]) -> list[str]:
    """The runtime of this machine, where it has one: devices then differ by their processor alone."""
    versions = ((name, version_of(name)) for name in packages)
    return ["numpy", *(name if version is None else f"{name}=={version}" for name, version in versions)]


TRANSPORT = SshTransport
