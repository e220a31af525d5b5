"""Where this installation came from: what pip is told to bring an extra of it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

NAME = "edgefair"
# In an address, a drive's letter stands behind a slash.
BEFORE_A_DRIVE = re.compile(r"^/(?=[A-Za-z]:)")


def command_for(extra: str) -> str:
    """The command that brings what an extra needs, of the edgefair that is installed here.

    A clone or a file is named by its path, so that the command works in any folder. An installation without a note of
    where it came from is of a package index.

    Args:
        extra: its name; empty for the base.

    Source: "Recording the Direct URL Origin of installed distributions" (PyPA specifications).
    """
    brackets = f"[{extra}]" if extra else ""
    origin = _origin()
    if origin is None:
        return f"pip install {shlex.quote(NAME + brackets)}"
    path = _path(origin)
    if path is None:
        return f"pip install {shlex.quote(f'{NAME}{brackets} @ {_address(origin)}')}"
    if not (path.is_file() or (path / "pyproject.toml").is_file()):
        return f"pip install {shlex.quote(f'.{brackets}')}, in a clone of {NAME}"
    editable = "--editable " if origin.get("dir_info", {}).get("editable") else ""
    return f"pip install {editable}{shlex.quote(f'{path}{brackets}')}"


def requirement_for(extra: str, version: str, root: Path) -> str | None:
    """What pip is told on another machine to bring the edgefair that is installed here.

    Args:
        root: of the repository that the other machine has too.

    Returns:
        The release of a package index, an address, or a folder below `root` as seen from there; None where it came from
        a folder or a file that the other machine has not.
    """
    origin = _origin()
    if origin is None:
        return f"{NAME}[{extra}]=={version}"
    path = _path(origin)
    if path is None:
        return f"{NAME}[{extra}] @ {_address(origin)}"
    below = path.resolve().is_relative_to(root.resolve()) and path.exists()
    return f"./{path.resolve().relative_to(root.resolve()).as_posix()}[{extra}]" if below else None


def _path(origin: dict[str, Any]) -> Path | None:
    """The folder or file of this machine that it came from; None for an address."""
    # What few commands need is no part of the start of every one.
    from urllib.parse import unquote, urlsplit

    url = urlsplit(origin["url"])
    return Path(BEFORE_A_DRIVE.sub("", unquote(url.path))) if url.scheme == "file" else None


def _address(origin: dict[str, Any]) -> str:
    system = origin.get("vcs_info")
    return f"{system['vcs']}+{origin['url']}@{system['commit_id']}" if system else str(origin["url"])


def _origin() -> dict[str, Any] | None:
    """What pip noted of the place that edgefair was installed from; None for a package index."""
    from importlib import metadata

    try:
        noted = metadata.distribution(NAME).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return {"url": Path(__file__).parent.parent.as_uri(), "dir_info": {"editable": True}}
    origin: dict[str, Any] | None = json.loads(noted) if noted else None
    return origin
