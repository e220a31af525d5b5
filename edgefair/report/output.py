"""Where a result goes: formats on stdout and in files."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefair.errors import UsageError, did_you_mean
from edgefair.files import write_atomic
from edgefair.progress import timed
from edgefair.report.changed_rows import ChangedRows
from edgefair.report.ci import repository
from edgefair.report.formats import FORMATS, open_format
from edgefair.report.formats.base import Item
from edgefair.report.places import check_folders
from edgefair.report.policy_lines import PolicyLines, policy_lines
from edgefair.report.results.base import Result


@dataclass(frozen=True)
class Output:
    """A format and its place: a file, or stdout where there is none."""

    format: str
    path: Path | None = None


def outputs_of(named: Sequence[str], *, as_json: bool = False, schemas: Sequence[str] = ("",)) -> tuple[Output, ...]:
    """What `--format NAME[=FILE]` asks for; on stdout the terminal's format, unless another one is asked for there.

    Args:
        as_json: whether JSON is asked for on stdout (`--json`).
        schemas: of the results that the formats shall hold.

    Raises:
        UsageError: an unknown format, one that does not hold such results, several for one place, or a file that
            cannot be written.
    """
    asked = [*(["json"] if as_json else []), *named]
    outputs = [Output(name, Path(file) if file else None) for name, _, file in (item.partition("=") for item in asked)]
    for output in outputs:
        if output.format not in FORMATS:
            raise UsageError(
                f"unknown format '{output.format}'{did_you_mean(output.format, FORMATS)}",
                expected=f"--format NAME or NAME=FILE, with one of {', '.join(FORMATS)}",
            )
        check_holds(output.format, schemas)
    outputs = list(dict.fromkeys(outputs))
    if all(output.path is not None for output in outputs):
        outputs.insert(0, Output("terminal"))
    places = [output.path for output in outputs]
    files = [None if place is None else place.resolve() for place in places]
    if len(set(files)) < len(files):
        twice = next(place for place, file in zip(places, files, strict=True) if files.count(file) > 1)
        where = "stdout" if twice is None else f"'{twice}'"
        raise UsageError(f"several formats would be written to {where}", fix="give each a file: --format NAME=FILE")
    check_folders(*places)
    return tuple(outputs)


def check_holds(form: str, schemas: Sequence[str]) -> None:
    """Whether a format can hold results of these schemas, as one document.

    Raises:
        UsageError: it cannot.
    """
    known = FORMATS[form]
    if not all(map(known.can_hold, schemas)):
        others = ", ".join(name for name, other in FORMATS.items() if all(map(other.can_hold, schemas)))
        raise UsageError(
            f"the format '{form}' holds verdicts of `export` and `verify`, and no other result",
            expected=f"one of {others}",
        )
    if len(schemas) > 1 and not known.several:
        raise UsageError(
            f"the format '{form}' holds one result, and there are {len(schemas)}",
            fix="write one document for each of them",
        )


def check_shows_rows(outputs: Sequence[Output]) -> None:
    """Whether one of them is a file that shows rows, before the work that finds them.

    Raises:
        UsageError: none is.
    """
    if not any(FORMATS[output.format].shows_rows and output.path is not None for output in outputs):
        names = [name for name, known in FORMATS.items() if known.shows_rows]
        raise UsageError(
            "--show-rows, and no file that shows rows is asked for",
            expected=f"--format {' or '.join(names)}=FILE: a file, which only its owner can read",
            fix=f"add --format {names[0]}=rows.html",
        )


def write_result(
    result: Result, outputs: Sequence[Output], *, config: Path | None = None, changed: ChangedRows | None = None
) -> None:
    """Write a result in every format that is asked for; the files first, each whole or not at all.

    Args:
        config: by which it was judged.
        changed: rows for the formats that show them.

    Raises:
        UsageError: a file cannot be written.
    """
    lines = PolicyLines() if config is None else policy_lines(config, repository())
    write_items([Item(result, policy=lines, changed=changed)], outputs)


@timed("writing the result")
def write_items(items: Sequence[Item], outputs: Sequence[Output]) -> None:
    """Write results in every format, each time as one document; the files first, each whole or not at all.

    A file that shows rows is for its owner alone, also where a file of other permissions was there before.

    Raises:
        UsageError: a format does not hold all of them, or a file cannot be written.
    """
    for output in outputs:
        check_holds(output.format, [item.result.schema for item in items])
    for output in sorted(outputs, key=lambda output: output.path is None):
        form = open_format(output.format)
        if output.path is None:
            form.write(items, sys.stdout)
            continue
        text = io.StringIO()
        form.write(items, text)
        private = FORMATS[output.format].shows_rows and any(item.changed is not None for item in items)
        try:
            if private and output.path.exists():
                output.path.chmod(0o600)
            write_atomic(output.path, text.getvalue().encode(), private=private)
        except OSError as error:
            raise UsageError(f"the result cannot be written to '{output.path}': {error.strerror}") from error
