"""The first thing that runs on a device behind ssh or in a container: find or make a Python with onnxruntime, and
become the probe.

The standard library only. stdin is passed on to the probe untouched; what there is to say goes to stderr.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, List, Mapping, NoReturn, Sequence

from edgefair.probe.system.linux import lock_now, path_of

OLDEST_PYTHON = (3, 9)
# Exit codes with a meaning for the host (sysexits.h: EX_UNAVAILABLE, EX_CANTCREAT, EX_TEMPFAIL).
UNAVAILABLE, NO_FOLDER, BUSY = 69, 73, 75
# A shell's exit code for a process that a signal ended is this much more than the signal's number.
SIGNALLED = 128
FIRST = 1
# How long a session that has just ended may hold the device.
BUSY_S = 10.0
PIP_LINES = 3
PARTIAL = ".partial"
READY = "edgefair-ready.json"


def main(zipapp: int, settings: Mapping[str, Any]) -> NoReturn:
    """Become the probe.

    Args:
        zipapp: file descriptor of the zipapp in memory.
        settings: folder (where everything is kept), python (name or path; None to use an own virtual environment),
            packages (what pip installs there), session (an id: a session that comes back ends what is left of itself),
            only_clean (end that, remove files that did not arrive whole, and no more).
    """
    if sys.version_info < OLDEST_PYTHON:
        stop(UNAVAILABLE, f"Python {sys.version.split()[0]} is too old: 3.9 is the oldest")
    if os.getpid() == FIRST:
        stand_by()
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)  # a group of its own, so that a session that comes back can end it with its children
    folder = Path(settings["folder"]).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(str(folder / "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        hold(lock, settings["session"])
        if settings["only_clean"]:
            for path in (folder / "models").glob("*" + PARTIAL):
                path.unlink()
            os._exit(0)
        python = settings["python"] or environment(folder, settings["packages"])
    except OSError as error:
        stop(NO_FOLDER, f"{folder} cannot be used: {error}")
    os.set_inheritable(zipapp, True)
    os.set_inheritable(lock, True)
    try:
        os.execvp(python, [python, "-I", path_of(zipapp), str(folder / "models")])
    except OSError as error:
        stop(UNAVAILABLE, f"{python} cannot be run: {error.strerror}")


def stand_by() -> None:
    """As the first process of a container, which no signal of its own ends: leave the work to a child, end as it ends.

    Returns in the child alone.
    """
    child = os.fork()
    if child == 0:
        return
    for stream in (0, 1):
        os.close(stream)
    status = os.waitpid(child, 0)[1]
    os._exit(SIGNALLED + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def hold(lock: int, session: str) -> None:
    """Take the lock for as long as this process lives; end an earlier process of the same session that still has it."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            lock_now(lock)
            break
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        holder = os.pread(lock, 200, 0).decode(errors="replace").split()
        if len(holder) == 2 and holder[1] == session:
            with contextlib.suppress(OSError):
                os.killpg(int(holder[0]), signal.SIGKILL)
        if time.monotonic() > deadline:
            stop(BUSY, "another edgefair process is measuring on this device")
        time.sleep(0.05)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()} {session}".encode(), 0)


def environment(folder: Path, packages: Sequence[str]) -> str:
    """The Python of a virtual environment with the packages; it is made where it is absent, half made or of others."""
    home = folder / "venv"
    python = str(home / "bin" / "python")
    wanted = json.dumps([sys.version, *packages])
    ready = home / READY
    if ready.is_file() and ready.read_text() == wanted:
        return python
    print(f"making {home} with {', '.join(packages)}", file=sys.stderr, flush=True)  # noqa: T201
    shutil.rmtree(str(home), ignore_errors=True)
    run([sys.executable, "-m", "venv", str(home)], "install python3-venv on the device")
    run([python, "-m", "pip", "install", "-q", "--only-binary=:all:", *packages], "is PyPI reachable?")
    ready.write_text(wanted)
    return python


def run(command: List[str], fix: str) -> None:
    """Run a command whose failure ends the start, with the last lines that it said."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines()[-PIP_LINES:]
        stop(UNAVAILABLE, f"{' '.join(command[1:4])} failed ({fix}): {' '.join(said)}")


def stop(code: int, why: str) -> NoReturn:
    """End, and say why."""
    os.write(2, f"{why}\n".encode(errors="replace"))
    os._exit(code)
