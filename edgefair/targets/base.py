"""What a way to reach a machine must be able to do."""

from __future__ import annotations

from pathlib import Path
from subprocess import Popen
from typing import Protocol


class Transport(Protocol):
    """A machine that can run the probe. `start` comes first, `stop` last and always."""

    def start(self) -> Popen[bytes]:
        """Start the probe; its stdin and stdout carry the frames, its stderr is kept for error messages.

        The probe ends when its stdin ends, so nothing outlives a host that is killed.

        Raises:
            MeasurementError: the machine cannot be reached or cannot run the probe.
        """
        ...

    def put(self, path: Path) -> str:
        """Make a file readable for the probe; the path under which the device finds it.

        Raises:
            MeasurementError: it could not be copied.
        """
        ...

    def stop(self) -> None:
        """Leave nothing behind on the machine."""
        ...
