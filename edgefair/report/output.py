"""Where a report goes: terminal, JSON on stdout, or a file."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from edgefair.errors import UsageError
from edgefair.files import write_atomic
from edgefair.report.model import Report


def report_json(report: Report) -> str:
    """The report as JSON text."""
    return json.dumps(report.to_json(), indent=1, allow_nan=False)


def print_result(report: Report, *, as_json: bool) -> None:
    """Print on stdout: JSON, or the report for people."""
    if as_json:
        sys.stdout.write(report_json(report) + "\n")
        return
    from edgefair.report.console import stdout_console
    from edgefair.report.terminal import render

    stdout_console().print(render(report))


def check_folders(*paths: Path | None) -> None:
    """Whether files can be written where they shall be, before the work whose result they are to hold.

    Raises:
        UsageError: a folder, a link or a device instead of a file, or a file in a folder that does not exist or takes
            none.
    """
    for path in paths:
        if path is None:
            continue
        folder = path.absolute().parent
        if path.is_dir():
            raise UsageError(f"cannot write '{path}': it is a folder", fix="give the name of a file in it")
        if path.is_symlink():
            raise UsageError(
                f"cannot write '{path}': it is a symbolic link, which the new file would replace",
                fix="name the file that it points to",
            )
        if path.exists() and not path.is_file():
            raise UsageError(f"cannot write '{path}': it is no file", fix="name one, or print the result with --json")
        if not folder.is_dir():
            raise UsageError(f"cannot write '{path}': no folder '{path.parent}'", fix="make the folder first")
        try:
            # Permissions do not tell: a file system may be read-only, or no place for files at all.
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise UsageError(
                f"cannot write '{path}': no file can be made in '{folder}': {error.strerror}",
                fix="choose a folder that you may write to",
            ) from error


def write_report(report: Report, path: Path) -> None:
    """Write the report as a JSON file.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        write_atomic(path, report_json(report).encode())
    except OSError as error:
        raise UsageError(f"the report cannot be written to '{path}': {error.strerror}") from error
