"""What is installed on this machine, what works here, and what to do for the rest."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from edgefair._version import __version__
from edgefair.data.files.lazy import cores
from edgefair.errors import UsageError
from edgefair.installed import NAME, command_for
from edgefair.report.results.installation import Extra, Installation, Package
from edgefair.workflow.targets import known_targets

# What only those need who work on edgefair itself.
OF_DEVELOPERS = frozenset({"dev", "bench", "docs"})


def examine() -> Installation:
    """This machine as edgefair finds it. Starts no device, imports none of the packages.

    Raises:
        UsageError: edgefair runs without having been installed, so nothing says what it needs.
    """
    try:
        extras = metadata.metadata(NAME).get_all("Provides-Extra") or []
        needed = [Requirement(line) for line in metadata.requires(NAME) or ()]
    except metadata.PackageNotFoundError as error:
        raise UsageError(
            "edgefair runs from its sources without having been installed",
            expected="an installation, which says what each extra needs",
            fix=command_for(""),
        ) from error
    names = ["", *(name for name in extras if name not in OF_DEVELOPERS)]
    return Installation(
        version=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=cores(),
        extras=tuple(Extra(name, _packages(needed, name), command_for(name)) for name in names),
        targets=known_targets(),
    )


def _packages(needed: list[Requirement], extra: str) -> tuple[Package, ...]:
    """What an extra needs on this platform, each package once."""
    found = {canonicalize_name(one.name): _package(one) for one in _wanted(needed, extra)}
    return tuple(found.values())


def _wanted(needed: list[Requirement], extra: str) -> Iterator[Requirement]:
    """Requirements that an extra adds to the base, or those of the base."""
    for one in needed:
        of_base = one.marker is None or one.marker.evaluate({"extra": ""})
        of_extra = one.marker is not None and one.marker.evaluate({"extra": extra})
        if of_base != (extra == "") or not (of_base or of_extra):
            continue
        if canonicalize_name(one.name) == NAME:
            for other in sorted(one.extras):
                yield from _wanted(needed, other)
        else:
            yield one


def _package(wanted: Requirement) -> Package:
    try:
        installed = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return Package(wanted.name, str(wanted.specifier), None, fits=False)
    fits = wanted.specifier.contains(installed, prereleases=True)
    return Package(wanted.name, str(wanted.specifier), installed, fits=fits)
