"""What CI systems are given unasked: who runs there need not know which files it shows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol, TextIO

from edgefair.report.ci.github import GitHubActions
from edgefair.report.ci.gitlab import GitLab
from edgefair.report.formats.base import Item


class Surroundings(Protocol):
    """The CI system that this runs in."""

    def write(self, item: Item, log: TextIO, *, saved: Path | None) -> None:
        """Give it the result.

        Args:
            log: what the system reads as the job's log.
            saved: the JSON file of the result, if one was written.

        Raises:
            OSError: a file of the system cannot be written.
        """
        ...


def surroundings() -> Surroundings | None:
    """The CI system that this runs in, by the variables that it documents; None elsewhere."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        return GitHubActions(os.environ)
    if os.environ.get("GITLAB_CI") == "true":
        return GitLab(os.environ)
    return None


def repository() -> Path:
    """The folder that a CI system names files from; elsewhere the working directory."""
    for variable in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        if os.environ.get(variable):
            return Path(os.environ[variable])
    return Path.cwd()
