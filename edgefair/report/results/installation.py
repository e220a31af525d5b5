"""What is installed here, and what it can do: the value of `edgefair doctor`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from edgefair.report.results.targets import Targets

INSTALLATION_SCHEMA = "edgefair.installation/1"


@dataclass(frozen=True)
class Package:
    """A package that something of edgefair needs.

    Attributes:
        wanted: the versions that fit, as `>=2.13,<2.14`; empty for any.
        installed: its version; None where it is absent.
        fits: whether the installed version is a wanted one.
    """

    name: str
    wanted: str
    installed: str | None
    fits: bool


@dataclass(frozen=True)
class Extra:
    """What an extra brings; the base, which nothing works without, has no name.

    Attributes:
        packages: all that it needs beside the base, those of extras that it names too.
        fix: the command that brings what is lacking.
    """

    name: str
    packages: tuple[Package, ...]
    fix: str

    @property
    def lacking(self) -> tuple[Package, ...]:
        """Packages that are absent, or there in a version that does not fit."""
        return tuple(package for package in self.packages if not package.fits)


@dataclass(frozen=True)
class Installation:
    """This machine as edgefair finds it.

    Attributes:
        cores: processors that this process may use.
    """

    schema: ClassVar[str] = INSTALLATION_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.hints.installation"

    version: str
    python: str
    system: str
    cores: int
    extras: tuple[Extra, ...]
    targets: Targets

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        extras = [asdict(extra) | {"ready": not extra.lacking} for extra in self.extras]
        facts = {"version": self.version, "python": self.python, "system": self.system, "cores": self.cores}
        targets = [{"name": item.profile.name, "lacks": item.lacks} for item in self.targets.targets]
        return {"schema": INSTALLATION_SCHEMA, **facts, "extras": extras, "targets": targets}
