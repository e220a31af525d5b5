"""Versions of the packages that made or judged a model."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterable


def version_of(package: str) -> str | None:
    """The version of a package; None where it is not there.

    From its metadata, else from the package itself: run from a source tree or an archive it has no metadata.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        pass
    try:
        return getattr(importlib.import_module(package), "__version__", None)
    except ImportError:
        return None


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Package -> version, of those that are there."""
    found = {package: version_of(package) for package in packages}
    return {package: version for package, version in found.items() if version is not None}
