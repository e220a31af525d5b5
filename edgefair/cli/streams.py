"""The three standard streams, which may be closed or full."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from edgefair.errors import UsageError

STDOUT = 1


def open_streams() -> None:
    """Open those that are closed on nothing: else the next file or pipe gets the number, and with it what is printed.

    Raises:
        UsageError: stdout is closed, and the result would be lost.
    """
    closed = [number for number in range(3) if not _is_open(number)]
    for number in closed:
        os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        os.set_inheritable(number, True)
    sys.stdin = sys.stdin or open(0)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115
    if STDOUT in closed:
        raise UsageError(
            "stdout is closed, so the result cannot be printed", fix="redirect it, for example with `> /dev/null`"
        )


def settle(stream: TextIO | None, text: str = "") -> bool:
    """Write what a stream still holds, and a text; False where that cannot be.

    It leads to nothing from then on: the interpreter would try again at its end, and change the exit code.
    """
    if stream is None:
        return True
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
        return False
    return True


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
