"""Where units of work run: in this process, in several of this machine, on a cluster. They know nothing of studies.

One file an executor; the table is data, so that listing them imports none.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping

from edgefair.errors import UsageError, did_you_mean
from edgefair.study.executors.base import Executor, Lost, Make, Settings

EXECUTORS: Mapping[str, str] = {
    "serial": "edgefair.study.executors.serial:Serial",
    "processes": "edgefair.study.executors.processes:Processes",
    "ray": "edgefair.study.executors.ray:Ray",
}


def open_executor(name: str, make: Make, settings: Settings) -> Executor:
    """The executor of that name, to be used as a context manager.

    Args:
        make: called once in every worker, gives what carries out a unit.

    Raises:
        UsageError: no such executor, or it cannot be had here.
    """
    if name not in EXECUTORS:
        raise UsageError(
            f"no executor '{name}'{did_you_mean(name, EXECUTORS)}", expected=f"one of {', '.join(EXECUTORS)}"
        )
    opened: Executor = pkgutil.resolve_name(EXECUTORS[name])(make, settings)
    return opened


__all__ = ["EXECUTORS", "Executor", "Lost", "Make", "Settings", "open_executor"]
