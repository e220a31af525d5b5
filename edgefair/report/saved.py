"""Results read back from the files that hold them."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgefair.errors import UsageError
from edgefair.mistakes import first_mistake
from edgefair.probe.regular import LargerError, read_regular
from edgefair.report.results.base import Result

# Far above any report, and in memory in a second.
MAX_BYTES = 1 << 28
REPORT = "report.json"
_AT = "edgefair.report.results"
# Name of a schema -> the latest version, and who reads it and those before.
READERS: Mapping[str, tuple[int, str]] = {
    "edgefair.report": (2, f"{_AT}.verification:Report.from_json"),
    "edgefair.compare": (1, f"{_AT}.comparison:ComparisonReport.from_json"),
    "edgefair.explanation": (1, f"{_AT}.explanation:Explanation.from_json"),
    "edgefair.diagnosis": (1, f"{_AT}.diagnosis:Diagnosis.from_json"),
    "edgefair.plan": (2, f"{_AT}.plan:Plan.from_json"),
    "edgefair.study-report": (1, f"{_AT}.study:StudyReport.from_json"),
    "edgefair.error": (1, f"{_AT}.failure:Failure.from_json"),
}


def read_saved(path: Path) -> Result:
    """The result in a file that `--format json=FILE`, `--report` or `export` wrote, or of the bundle in a folder.

    Raises:
        UsageError: no such file, not a result, one that was cut or contradicts itself, or one of a later version.
    """
    file = path / REPORT if path.is_dir() else path
    try:
        data = json.loads(read_regular(file, most=MAX_BYTES), parse_constant=_refuse)
    except LargerError as error:
        raise UsageError(f"'{file}' has more than {MAX_BYTES:,} bytes: no result of edgefair") from error
    except OSError as error:
        raise UsageError(f"cannot read '{file}': {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"'{file}' is not JSON, or was cut: {str(error).splitlines()[0]}",
            expected="a result that `--format json=FILE` or `--report FILE` wrote",
            fix="write it again",
        ) from error
    read = _reader(file, data)
    try:
        return read(data)
    except ValidationError as error:
        raise _damaged(file, str(first_mistake(error))) from error
    except KeyError as error:
        raise _damaged(file, f"it has no {error}") from error
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _damaged(file, str(error).splitlines()[0]) from error


def _reader(file: Path, data: Any) -> Callable[[Mapping[str, Any]], Result]:
    schema = data.get("schema") if isinstance(data, dict) else None
    name, _, version = str(schema).partition("/")
    if name not in READERS:
        raise UsageError(
            f"'{file}' is no result that can be shown again: its schema is {schema!r}",
            expected=f"one of {', '.join(f'{name}/{latest}' for name, (latest, _) in READERS.items())}",
        )
    latest, home = READERS[name]
    if not version.isascii() or not version.isdigit() or not 1 <= int(version) <= latest:
        raise UsageError(
            f"'{file}' is {schema}, and this version of edgefair reads {name}/{latest} and earlier",
            fix="show it with the version of edgefair that wrote it, or a later one",
        )
    reader: Callable[[Mapping[str, Any]], Result] = pkgutil.resolve_name(home)
    return reader


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _damaged(file: Path, why: str) -> UsageError:
    return UsageError(f"'{file}' is not a whole result: {why}", fix="write it again: it was cut or changed")
