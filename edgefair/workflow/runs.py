"""Which training run a command means."""

from __future__ import annotations

from edgefair.config import Config
from edgefair.errors import UsageError, did_you_mean


def choose_run(config: Config, name: str | None) -> str:
    """The named run, or the only finished one.

    Raises:
        UsageError: no such run, no run at all, or several to choose from.
    """
    folder = config.base / config.runs
    finished = sorted(path.parent.name for path in folder.glob("*/run.json"))
    if name is None and len(finished) == 1:
        return finished[0]
    if name is None:
        raise UsageError(
            f"'{folder}' holds {len(finished)} finished runs" + (f": {', '.join(finished)}" if finished else ""),
            fix="name one with --run" if finished else "train one with `edgefair train`",
        )
    if name not in finished:
        raise UsageError(
            f"no finished run '{name}' in '{folder}'{did_you_mean(name, finished)}",
            expected=f"one of {', '.join(finished)}" if finished else None,
            fix="an interrupted run goes on with `edgefair train`",
        )
    return name
