"""A real OpenSSH server on loopback with keys of its own, and a device's home in a folder of the test."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edgefair.targets import client, load_profile

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
PRIVILEGE_SEPARATION = Path("/run/sshd")


class Server:
    """The server, its key files, and the profile of a target behind it.

    Attributes:
        home: HOME of the device's user.
        before: a script that the device's shell runs before every command.
    """

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.port = free_port()
        self.process = None
        self.before = folder / "before.sh"
        self.before.write_text("")
        for name in ("host", "user"):
            self.make_key(name)
        shutil.copy(folder / "user.pub", folder / "authorized_keys")
        self.trust()
        (folder / "ssh_config").write_text(
            f"Host *\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  IdentityAgent none\n"
            f"  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile none\n"
        )

    def make_key(self, name):
        for path in (self.folder / name, self.folder / f"{name}.pub"):
            path.unlink(missing_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.folder / name], check=True
        )

    def trust(self):
        """Put the server's present key into known_hosts."""
        kind, key, _ = (self.folder / "host.pub").read_text().split()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def start(self):
        """Start the server and wait until it listens. It stays in the foreground, a child of the test."""
        config = self.folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.folder}/host\nPidFile none\nStrictModes no\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nPasswordAuthentication no\nUsePAM no\n"
            f"PermitRootLogin prohibit-password\nSetEnv HOME={self.home}\n"
            f'ForceCommand . {self.before}; eval "$SSH_ORIGINAL_COMMAND"\n'
        )
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "listening" in line:
                return
        raise OSError(f"sshd ended with exit code {self.process.wait()}")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()

    def profile(self, **changes):
        """A target behind the server that uses this Python; `changes` are keys of `ssh`."""
        settings = {"config": self.folder / "ssh_config", "python": sys.executable, "folder": "~/edgefair", **changes}
        profile = load_profile(f"local=ssh://127.0.0.1:{self.port}")
        return profile.model_copy(update={"ssh": profile.ssh.model_copy(update=settings)})

    def files(self):
        """What lies in the device's folder."""
        root = self.home / "edgefair"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def probes(self):
        """Process ids of the probes that run on the device."""
        return running("/proc/self/fd/", str(self.home))

    def kill_probe(self, number=signal.SIGKILL):
        (process,) = self.probes()
        os.kill(process, number)
        return process


@contextlib.contextmanager
def serving(folder, monkeypatch):
    """A running server with its files in a folder, and hosts that connect again at once; skips where none can run."""
    lacks = lacking()
    if lacks is not None:
        pytest.skip(lacks)
    monkeypatch.setattr(client, "RESTART_AFTER_S", 0.0)
    made = Server(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def running(*words):
    """Ids of the processes whose command lines hold all the words."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
            if int(folder.name) != os.getpid() and all(word in command for word in words):
                found.append(int(folder.name))
    return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def lacking():
    """Why no server can be started here, or None."""
    if SSHD is None or shutil.which("ssh") is None:
        return "no OpenSSH server or client (apt-get install openssh-server)"
    if os.geteuid() == 0:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    return None
