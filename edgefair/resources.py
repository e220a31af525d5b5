"""The files that ship beside the code: device profiles (`deploy/`) and calibration recipes (`calibration/`)."""

from __future__ import annotations

from pathlib import Path

from edgefair.errors import UsageError, did_you_mean

PACKAGE = Path(__file__).resolve().parent


def shipped_path(folder: str, name: str = "") -> Path:
    """Where a shipped file lies: inside the package when installed from a wheel, beside it in a checkout."""
    installed = PACKAGE / "_shipped" / folder
    return (installed if installed.is_dir() else PACKAGE.parent / folder) / name


def shipped_names(folder: str) -> list[str]:
    """Names (without `.yaml`) that can be used instead of a path, sorted."""
    return sorted(path.stem for path in shipped_path(folder).glob("*.yaml"))


def named_file(folder: str, name_or_path: str, *, what: str) -> Path:
    """A shipped file by its name, or any `.yaml` file by its path.

    Args:
        what: what such a file is called, for the message.

    Raises:
        UsageError: no shipped file has that name.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        return path
    names = shipped_names(folder)
    if name_or_path not in names:
        raise UsageError(
            f"unknown {what} '{name_or_path}'{did_you_mean(name_or_path, names)}",
            expected=f"one of {', '.join(names)}, or the path of a .yaml file",
        )
    return shipped_path(folder, f"{name_or_path}.yaml")
