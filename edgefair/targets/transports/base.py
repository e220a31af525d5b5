"""What a way to reach a machine must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from subprocess import Popen
from typing import Protocol

from edgefair.progress import Progress


@dataclass(frozen=True)
class Ending:
    """How a probe ended that should have gone on.

    Attributes:
        found: in words, with what was last said.
        dropped: the way to the machine broke, and the machine may be as well as before: starting again makes sense.
    """

    found: str
    fix: str | None = None
    dropped: bool = False


class Transport(Protocol):
    """A machine that can run the probe. `start` comes first, `stop` last and always; after `stop` it may start again.

    Attributes:
        shares_files: whether the device reads this machine's files; where not, they travel through the probe.
    """

    shares_files: bool

    def prepare(self, progress: Progress) -> None:
        """Make what lasts from one start to the next: `edgefair target prepare`.

        Raises:
            MeasurementError: something that it takes is missing.
        """
        ...

    def lacks(self) -> str | None:
        """What is known to be missing before a start, without asking the machine; None if nothing is."""
        ...

    def start(self) -> Popen[bytes]:
        """Start the probe; its stdin and stdout carry the frames, its stderr is kept for error messages.

        The probe ends when its stdin ends, so nothing outlives a host that is killed.

        Raises:
            MeasurementError: the machine cannot be reached or cannot run the probe.
        """
        ...

    def ended(self, code: int, said: str) -> Ending:
        """What it means that the process of `start` ended with this code, having said this on stderr."""
        ...

    def stop(self) -> None:
        """Leave nothing behind on the machine but what the next start uses again."""
        ...
