"""The pipes to a probe."""

from __future__ import annotations

import subprocess

from edgefair.probe.system.linux import enlarge_pipe

# What Linux lets any user have: a batch that fits is written at once, not in 64 KiB pieces with a switch after each.
PIPE_BYTES = 1 << 20


def enlarge_pipes(process: subprocess.Popen[bytes]) -> None:
    """Give the process's stdin and stdout all that a user may have."""
    for stream in (process.stdin, process.stdout):
        enlarge_pipe(stream, PIPE_BYTES)
