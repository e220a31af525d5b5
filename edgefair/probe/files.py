"""What somebody else wrote into a folder: names that stay in it, and JSON that cannot run away."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List

# Digits of a whole number in JSON: Python reads long ones in quadratic time.
MOST_DIGITS = 400
# Entries of a bundle's folder. An export makes less than ten.
MOST_FILES = 1000


def read_json(content: bytes) -> Dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: another type, not JSON, or nested or written so that reading it would not end well.
    """
    try:
        found = json.loads(content, parse_constant=_no_number, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, not an object")
    return found


def inside(name: str) -> bool:
    """Whether a name is that of a file in a folder: relative, with no way out of it, of letters that can be seen.

    On Windows a backslash parts names too, and a colon follows a drive or begins a stream: no name has them.
    """
    parts = name.split("/")
    return name.isprintable() and not {"", ".", ".."} & set(parts) and not {"\\", ":"} & set(name)


def files_below(folder: Path) -> Iterator[str]:
    """Names of everything below a folder that is not a folder itself, links among them, from the folder on.

    Raises:
        OSError: it cannot be listed.
        ValueError: there is more than any bundle holds.
    """
    waiting: List[str] = [""]
    seen = 0
    while waiting:
        at = waiting.pop()
        with os.scandir(folder / at) as entries:
            for entry in entries:
                seen += 1
                if seen > MOST_FILES:
                    raise ValueError(f"it holds more than {MOST_FILES} files")
                name = f"{at}/{entry.name}" if at else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                else:
                    yield name


def _no_number(text: str) -> Any:
    raise ValueError(f"it holds {text}, which is not a JSON number")


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"it holds a number of {len(text)} digits")
    return int(text)
