"""Where units of work run: in this process, in several of this machine, on a cluster. They know nothing of studies.

One file an executor; the table is data, so that listing them imports none.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from typing import Any

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
    opened: Executor = _class_of(name)(make, settings)
    return opened


def warm(name: str, module: str) -> None:
    """Begin to load a module for the workers of an executor that is opened later, beside what this process does.

    Args:
        module: its import starts no thread and no GPU, as workers may be forked from the process that loads it.

    Raises:
        UsageError: no such executor.
    """
    _class_of(name).warm(module)


def _class_of(name: str) -> Any:
    if name not in EXECUTORS:
        raise UsageError(
            f"no executor '{name}'{did_you_mean(name, EXECUTORS)}", expected=f"one of {', '.join(EXECUTORS)}"
        )
    return pkgutil.resolve_name(EXECUTORS[name])


__all__ = ["EXECUTORS", "Executor", "Lost", "Make", "Settings", "open_executor", "warm"]
