"""Targets, and what one of them is: the values of `edgefair target`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from edgefair.targets import TargetProfile

TARGETS_SCHEMA = "edgefair.targets/1"
DEVICE_SCHEMA = "edgefair.device/1"


@dataclass(frozen=True)
class KnownTarget:
    """A profile.

    Attributes:
        lacks: what is known to be missing before it can be used, without asking the machine; None if nothing is.
    """

    profile: TargetProfile
    lacks: str | None


@dataclass(frozen=True)
class Targets:
    """Targets by name, and what each still needs on this machine."""

    schema: ClassVar[str] = TARGETS_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.targets"

    targets: tuple[KnownTarget, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        items = [{**item.profile.model_dump(mode="json"), "lacks": item.lacks} for item in self.targets]
        return {"schema": TARGETS_SCHEMA, "targets": items}


@dataclass(frozen=True)
class Device:
    """The device of one target: its fingerprint."""

    schema: ClassVar[str] = DEVICE_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.targets"

    fingerprint: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"schema": DEVICE_SCHEMA, **self.fingerprint}
