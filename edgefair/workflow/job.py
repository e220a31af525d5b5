"""What every part of a command works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.progress import Progress
from edgefair.workflow.exemplars.changed import RowsToShow
from edgefair.workflow.kept_targets import KeptTargets


@dataclass(frozen=True, eq=False)
class Job:
    """The project's config, its rows, and whom to tell of progress.

    Attributes:
        to_show: takes rows whose decision compression changed, where a page shall show them.
        targets: opens those that are asked on the way to a verdict.
        shelf: folder where the FP32 files of compressed networks stay, for others that are made from the same one.
    """

    config: Config
    data: DataSet
    progress: Progress
    to_show: RowsToShow | None = None
    targets: KeptTargets = field(default_factory=lambda: KeptTargets(keep=False))
    shelf: Path | None = None
