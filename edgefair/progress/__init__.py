"""What a long piece of work says while it runs, and where its time went."""

from __future__ import annotations

from edgefair.progress.telling import Listener, Progress, silent
from edgefair.progress.timings import Stage, is_recorded, join, recorded, timed

__all__ = ["Listener", "Progress", "Stage", "is_recorded", "join", "recorded", "silent", "timed"]
