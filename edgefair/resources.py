"""The files that ship beside the code: device profiles (`deploy/`) and calibration recipes (`calibration/`)."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shipped_path(folder: str, name: str = "") -> Path:
    """Where a shipped file lies: inside the package when installed from a wheel, beside it in a checkout."""
    installed = PACKAGE / "_shipped" / folder
    return (installed if installed.is_dir() else PACKAGE.parent / folder) / name


def shipped_names(folder: str) -> list[str]:
    """Names (without `.yaml`) that can be used instead of a path, sorted."""
    return sorted(path.stem for path in shipped_path(folder).glob("*.yaml"))
