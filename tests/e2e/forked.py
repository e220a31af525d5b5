"""Real processes, to be killed and to be starved, that need not import everything anew: a server forks each of them.

Importing what an export needs takes a Python that starts several seconds of processor time; the server does it once
(`preloaded`). What this process knows of exports, and its server of probes, they have too; it learns what they export.
"""

import contextlib
import functools
import io
import json
import multiprocessing
import multiprocessing.forkserver
import os
import pickle
import socket
import sys
import tempfile
import threading
from multiprocessing import connection
from pathlib import Path

from edgefair.cli import main
from tests.exporters import remembered
from tests.targets import warm

WAITING = "waiting for the test"
ROOT = Path(__file__).parents[2]
LONGEST = 1 << 17
PROGRAM = """#!{python} -IS
import json, os, socket, sys
def is_open(number):
    try:
        return os.fstat(number)
    except OSError:
        return False
streams = list(filter(is_open, range(3)))
asker = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
asker.connect({address!r})
said = json.dumps([sys.argv[1:], streams, dict(os.environ), os.getcwd()]).encode()
socket.send_fds(asker, [said], streams)
sys.exit(*asker.recv(1))
"""
STREAMS = {0: "stdin", 1: "stdout", 2: "stderr"}
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.e2e.preloaded"])
_PYTHON = "TESTS_E2E_FORKED_PYTHON"
_one_at_a_time = threading.Lock()


def exit_code(function, *arguments):
    """How a process ended that has called the function: minus the signal's number where one has killed it."""
    return _ended(function, arguments)


def answer(function, *arguments):
    """What the function returned in a process of its own."""
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    with ours, theirs:
        assert _ended(_send, (theirs, function, arguments)) == 0
        return ours.recv()


class Talking:
    """A process that calls a function with a pipe, on which it tells what it does and waits, and with arguments."""

    def __init__(self, function, *arguments):
        self.pipe, theirs = _CONTEXT.Pipe()
        self.process = _started(function, (theirs, *arguments))
        self.heard = [""]
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipe.close()
        self.process.join()

    def until(self, beginning):
        """Listen until it says something that begins so."""
        while not self.heard[-1].startswith(beginning):
            self.heard.append(self.pipe.recv())
        return self

    def go_on(self):
        """Let it go on wherever it waits, and end well; everything that it has said."""
        with contextlib.suppress(EOFError):
            while True:
                if self.heard[-1] == WAITING:
                    self.pipe.send("go on")
                self.heard.append(self.pipe.recv())
        self.process.join()
        assert self.process.exitcode == 0
        return self.heard


@contextlib.contextmanager
def program(folder, within=contextlib.nullcontext):
    """A folder with `edgefair` for a shell: each run is a process of its own, with the streams of who started it.

    It takes `-m edgefair` first, too: as the Python of a command (`python_of`) it starts others of the kind.

    Args:
        within: makes a context there, such as `tests.targets.quiet.quiet`, in which the command runs.
    """
    path = Path(folder, "edgefair")
    path.write_text(PROGRAM.format(python=sys.executable, address=f"{folder}/asked"))
    path.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(f"{folder}/asked")
        server.listen()
        answering = threading.Thread(target=_answer, args=(server, within), daemon=True)
        answering.start()
        yield folder
        server.shutdown(socket.SHUT_RDWR)
        answering.join()
        Path(folder, "asked").unlink()


def python_of(folder):
    """The environment in which a command of the program in this folder starts others by it, not by Python."""
    return {_PYTHON: str(Path(folder, "edgefair"))}


def _answer(server, within):
    with contextlib.suppress(OSError):
        while True:
            asker, _ = server.accept()
            threading.Thread(target=_serve, args=(asker, within), daemon=True).start()


def _serve(asker, within):
    """Run one command; it ends with who asked for it."""
    with asker, contextlib.suppress(OSError):
        said, streams, _, _ = socket.recv_fds(asker, LONGEST, 3)
        arguments, numbers, environment, folder = json.loads(said)
        given = dict(zip(numbers, map(connection.Connection, streams), strict=True))
        process = _started(_command, (arguments, given, within), environment, folder)
        if asker in connection.wait([asker, process.sentinel]):
            process.kill()
        process.join()
        asker.send(bytes([process.exitcode % 256]))


def _command(arguments, streams, within):
    """As a Python that starts: what is closed is None, and no text of stderr waits for the next line."""
    for number, name in STREAMS.items():
        if number in streams:
            os.dup2(streams[number].fileno(), number)
            streams[number].close()
            setattr(sys, name, _text(number))
        else:
            os.close(number)
            setattr(sys, name, None)
    sys.executable = os.environ.pop(_PYTHON, sys.executable)
    sys.argv = ["edgefair", *(arguments[2:] if arguments[:1] == ["-m"] else arguments)]
    with within():
        main()


def _text(number):
    # Those of the server may have been files, in which one can seek.
    if number == 0:
        return os.fdopen(number)
    if os.environ.get("PYTHONUNBUFFERED"):
        return io.TextIOWrapper(os.fdopen(number, "wb", buffering=0), write_through=True)
    return os.fdopen(number, "w", buffering=1 if number == 2 else -1)


def wait(pipe):
    """Say so, and wait until the other process lets this one go on, or is no more."""
    pipe.send(WAITING)
    with contextlib.suppress(EOFError):
        pipe.recv()


def _ended(function, arguments):
    process = _started(function, arguments)
    process.join()
    return process.exitcode


def _started(function, arguments, environment=None, folder=None):
    with _one_at_a_time:
        with contextlib.chdir(ROOT):
            multiprocessing.forkserver.ensure_running()
        _learn()
        given = environment or dict(os.environ), folder or Path.cwd(), warm.address(), remembered.known(), _told().name
        process = _CONTEXT.Process(target=_call, args=(*given, function, arguments))
        process.start()
    return process


def _call(environment, folder, probes, exports, told, function, arguments):
    """Call it in the surroundings of the process that asks, which may not be those in which the server began."""
    warm.fork_probes(True, probes)
    remembered.learn(exports)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None
    try:
        function(*arguments)
    finally:
        found = remembered.known()
        if new := {key: found[key] for key in found.keys() - exports.keys()}:
            (part := Path(told, f"{os.getpid()}.part")).write_bytes(pickle.dumps(new))
            part.rename(part.with_suffix(".exports"))


def _learn():
    """What processes have exported that have ended."""
    for path in Path(_told().name).glob("*.exports"):
        remembered.learn(pickle.loads(path.read_bytes()))
        path.unlink()


@functools.cache
def _told():
    return tempfile.TemporaryDirectory(prefix="exports-")


def _send(pipe, function, arguments):
    pipe.send(function(*arguments))
