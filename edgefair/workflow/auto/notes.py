"""What the report of a model says of the search that found it."""

from __future__ import annotations

from edgefair.config import Config
from edgefair.workflow.auto.reach import out_of_reach


def notes_of_search(config: Config, name: str | None) -> tuple[str, ...]:
    """What the search that found a run could not reach; nothing of a run that was trained otherwise, or of a file."""
    if name is None:
        return ()
    from edgefair.training.run import load_run

    found = load_run(config.run_path(name)).metrics.get("auto")
    return () if found is None else out_of_reach(found["reach"])
