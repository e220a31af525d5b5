"""Probes of this machine that need not import numpy and onnxruntime anew: a server forks each of them.

A Python that starts and imports both takes 0.3 s of processor time, five times as much as a verdict takes otherwise.
The server runs the zipapp that any probe runs, with the same Python and options, as far as its imports; what is forked
from it goes on from there as a process of its own, with its own streams, environment and end, or runs a script.
It looks for a core of its own for two ticks, not ten, during which it does nothing.
Starting itself is tested in `tests/targets`, where nothing is forked.
"""

import contextlib
import functools
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from edgefair.targets.transports import local, zipapp
from edgefair.targets.transports.streams import enlarge_pipes

COMMAND, MAIN = [sys.executable, "-I"], zipapp.MAIN
LONGEST = 1 << 17
CODE = struct.Struct("i")
SERVER = """
import gc, json, os, runpy, select, signal, socket, struct, sys
zipapp, address, alive = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.path.insert(0, zipapp)
import edgefair.probe.runtimes.models, edgefair.probe.clock.latency, edgefair.probe.clock.energy
import edgefair.probe.clock.footprint, edgefair.probe.clock.nodes, edgefair.probe.clock.pinning
import edgefair.probe.device, edgefair.probe.inputs.prepare, edgefair.probe.onnx_files.onnx_file
import edgefair.probe.onnx_files.spec_check
import edgefair.probe.storage, edgefair.probe.wire
edgefair.probe.device.fingerprint(None)
edgefair.probe.clock.pinning.LOOK_S = 0.02
gc.freeze()

def probe(streams, environment, script):
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 1024)
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.argv[:] = [zipapp]
    if script is None:
        runpy.run_module("edgefair.probe", run_name="__main__", alter_sys=True)
    else:
        exec(script, {"__name__": "__main__"})

server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind(address)
server.listen(64)
ended, woken = os.pipe()
os.set_blocking(woken, False)
os.set_blocking(ended, False)
signal.signal(signal.SIGCHLD, lambda *_: None)
signal.set_wakeup_fd(woken)
asking = {}
print("ready", flush=True)
while True:
    ready, _, _ = select.select([server, ended, alive], [], [])
    if alive in ready:
        os._exit(0)
    if ended in ready:
        os.read(ended, 1 << 16)
    if server in ready:
        asker, _ = server.accept()
        said, streams, _, _ = socket.recv_fds(asker, LONGEST, 3)
        pid = os.fork()
        if pid == 0:
            probe(streams, *json.loads(said))
            sys.stderr.flush()
            os._exit(0)
        for stream in streams:
            os.close(stream)
        asking[pid] = asker
        asker.send(struct.pack("i", pid))
    while asking:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            break
        with asking.pop(pid) as asker:
            try:
                asker.send(struct.pack("i", os.waitstatus_to_exitcode(status)))
            except OSError:
                pass
""".replace("LONGEST", str(LONGEST))


class Forked:
    """What a connection needs of `subprocess.Popen`."""

    def __init__(self, asker, streams):
        self.stdin, self.stdout, self.stderr = streams
        self.returncode = None
        self._asker, self._lock = asker, threading.Lock()
        (self.pid,) = CODE.unpack(asker.recv(CODE.size))

    def wait(self, timeout=None):
        if self.returncode is None and not select.select([self._asker], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("probe", timeout)
        with self._lock:
            if self.returncode is None:
                (self.returncode,) = CODE.unpack(self._asker.recv(CODE.size))
        return self.returncode

    def poll(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)

    def kill(self):
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended since, and nobody has told us yet
                os.kill(self.pid, signal.SIGKILL)

    def __del__(self):
        self._asker.close()


class Server:
    """Forks probes for this process and those that it forks, and ends with the last of them."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="probes-")
        program, self.address = (str(Path(self._folder.name, name)) for name in ("probe.pyz", "asked"))
        Path(program).write_bytes(zipapp.build_zipapp())
        alive, self._alive = os.pipe()
        command = [*COMMAND, "-c", SERVER, program, self.address, str(alive)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=[alive], cwd="/")
        os.close(alive)
        assert self._process.stdout.readline() == b"ready\n"
        self.pid = self._process.pid


def started(address, script=None):
    """A new probe of the server there, or what runs a script in its place, in this process's environment."""
    asker = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asker.connect(address)
    (stdin, to_it), (from_it, stdout), (said, stderr) = os.pipe(), os.pipe(), os.pipe()
    theirs = [stdin, stdout, stderr]
    socket.send_fds(asker, [json.dumps([dict(os.environ), script]).encode()], theirs)
    for stream in theirs:
        os.close(stream)
    process = Forked(asker, (os.fdopen(to_it, "wb"), os.fdopen(from_it, "rb"), os.fdopen(said, "rb")))
    enlarge_pipes(process)
    return process


def processor_seconds():
    """What the forked probes that have ended have computed; 0 where the system does not tell."""
    if _server.cache_info().currsize == 0:
        return 0.0
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{_server().pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def fork_probes(wanted, address=None):
    """Whether probes of this machine are forked from now on, by this process's server or one that has an address."""
    local.start_zipapp = _forked if wanted else _anew
    if address is not None:
        _others.append(address)


def address():
    """That of this process's server; None where probes are not forked."""
    return _server().address if local.start_zipapp is _forked else None


def script_started(script):
    """What runs a script in the place of a probe; None where probes are not forked."""
    return started(_address(), script) if local.start_zipapp is _forked else None


_anew, _server, _others = local.start_zipapp, functools.cache(Server), []
_one_server = threading.Lock()


def _forked(python, *, target, environment=None):
    if list(python) != COMMAND or environment is not None or zipapp.MAIN != MAIN:
        return _anew(python, target=target, environment=environment)
    return started(_address())


def _address():
    with _one_server:  # the devices of a pool start side by side
        return _others[-1] if _others else _server().address
