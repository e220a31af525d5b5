"""The memory of this process. Linux alone tells its peak."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

STATUS, PEAK_RESET = "/proc/self/status", "/proc/self/clear_refs"


class Memory:
    """The memory of this process, from where a model was not loaded yet. Linux alone tells the peak."""

    def __init__(self) -> None:
        self._before = _forget_peak()

    def peak(self) -> Optional[int]:
        """Bytes of this process at most since then, beyond those of then; None where the system does not tell."""
        after = None if self._before is None else _bytes_of("VmHWM")
        return None if after is None or self._before is None else max(after - self._before, 0)


def _forget_peak() -> Optional[int]:
    """Let the peak begin at what there is now, and tell that; None where the system does not allow it.

    https://www.kernel.org/doc/html/latest/filesystems/proc.html, clear_refs
    """
    try:
        with Path(PEAK_RESET).open("w") as stream:
            stream.write("5")
    except OSError:
        return None
    return _bytes_of("VmRSS")


def _bytes_of(name: str) -> Optional[int]:
    try:
        with Path(STATUS).open() as stream:
            lines = dict(line.split(":", 1) for line in stream if ":" in line)
        return int(lines[name].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
