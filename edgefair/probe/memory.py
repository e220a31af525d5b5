"""The memory of this process. Linux alone tells its peak."""

from __future__ import annotations

from typing import Optional

from edgefair.probe.system.linux import forget_peak, proc_text


class Memory:
    """The memory of this process, from where a model was not loaded yet. Linux alone tells the peak."""

    def __init__(self) -> None:
        self._before = _bytes_of("VmRSS") if forget_peak() else None

    def peak(self) -> Optional[int]:
        """Bytes of this process at most since then, beyond those of then; None where the system does not tell."""
        after = None if self._before is None else _bytes_of("VmHWM")
        return None if after is None or self._before is None else max(after - self._before, 0)


def _bytes_of(name: str) -> Optional[int]:
    """One of the sizes that /proc/self/status holds, in bytes; None where it does not."""
    lines = dict(line.split(":", 1) for line in (proc_text("self/status") or "").splitlines() if ":" in line)
    try:
        return int(lines[name].split()[0]) * 1024
    except (KeyError, ValueError, IndexError):
        return None
