"""GitLab CI: the files that a job names as its reports (https://docs.gitlab.com/ci/yaml/artifacts_reports/)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from edgefair.files import write_atomic
from edgefair.report.formats import FORMATS, open_format
from edgefair.report.formats.base import Item

# Format -> file in the project's folder; `artifacts: reports:` names them.
FILES = {
    "junit": "edgefair-junit.xml",
    "gitlab-codequality": "edgefair-codequality.json",
    "gitlab-metrics": "edgefair-metrics.txt",
}


@dataclass(frozen=True)
class GitLab:
    """A runner, by its variables."""

    variables: Mapping[str, str]

    def write(self, item: Item, log: TextIO, *, saved: Path | None) -> None:  # noqa: ARG002 - it reads files alone
        """Write each report that can hold the result, whole, over the one of an earlier command of the job.

        Raises:
            OSError: one of the files cannot be written.
        """
        folder = Path(self.variables.get("CI_PROJECT_DIR") or ".")
        for form, name in FILES.items():
            if FORMATS[form].can_hold(item.result.schema):
                text = io.StringIO()
                open_format(form).write([item], text)
                write_atomic(folder / name, text.getvalue().encode())
            else:
                (folder / name).unlink(missing_ok=True)
