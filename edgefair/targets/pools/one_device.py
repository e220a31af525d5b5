"""One device, asked as a pool is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from edgefair.targets.pools.any_probe import AnyProbe, Member
from edgefair.targets.profile import TargetProfile

Result = TypeVar("Result")


class OneDevice:
    """What a probe has of `AnyProbe` only because a pool has it."""

    def __init__(self, profile: TargetProfile) -> None:
        self.profile = profile
        self.answered_by = profile.name

    @property
    def members(self) -> tuple[Member, ...]:
        """None: it is no pool."""
        return ()

    def each(self, work: Callable[[AnyProbe], Result], *, timed: bool = False) -> dict[str, Result]:  # noqa: ARG002
        """The work's result here."""
        return {self.profile.name: work(cast("AnyProbe", self))}
