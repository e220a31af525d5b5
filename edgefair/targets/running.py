"""By which runtime, and under which settings, a target runs a model file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefair.errors import ModelError
from edgefair.probe.formats import NAMES as FORMATS
from edgefair.probe.formats import format_named, format_of
from edgefair.probe.runtimes import NAMES as RUNTIMES
from edgefair.targets.profile import TargetProfile
from edgefair.targets.runtimes import HostRuntime, host_runtime, reader_of

# A runtime's own settings, where the profile is about another runtime.
PLAIN = {"providers": ["CPUExecutionProvider"], "optimization": "all"}


@dataclass(frozen=True)
class Running:
    """A runtime, and the options that the probe gets.

    Attributes:
        own: whether it is the profile's runtime.
    """

    runtime: HostRuntime
    options: dict[str, Any]
    own: bool = True


def running(profile: TargetProfile, content: bytes, path: Path, *, beside: bool) -> Running:
    """How a target runs a file.

    Args:
        beside: whether it stands beside the model that is judged: where the profile's runtime does not read it, one
            that does runs it on the same machine, with as many threads. What is judged runs as the profile says.

    Raises:
        ModelError: the target's runtime reads files of another format.
    """
    own, found = profile.host_runtime, format_of(content)
    if found is own.format or (not beside and not _is_whole(content)):
        config = own.config(profile.config, threads=profile.threads)
        return Running(own, {**profile.facts["session"], "config": config})
    if not beside:
        readers = [name for name in RUNTIMES if host_runtime(name).format is found]
        raise ModelError(
            f"'{path}' is in {found.name} format, and target '{profile.name}' runs {own.name}, which reads "
            f"{own.format.name}",
            expected=f"a file that the target's runtime reads; known are {known_formats()}",
            fix=f"measure it on a target whose runtime is {' or '.join(readers)}",
        )
    runtime = reader_of(content)
    config = runtime.config({}, threads=profile.threads)
    return Running(runtime, {**PLAIN, "runtime": runtime.name, "config": config, "threads": profile.threads}, own=False)


def known_formats() -> str:
    """The formats that some runtime of the table reads, in words."""
    return ", ".join(f"{item.name} ({item.suffix})" for item in map(format_named, FORMATS))


def _is_whole(content: bytes) -> bool:
    try:
        format_of(content).check_whole(content)
    except ValueError:
        return False
    return True
