"""Several devices of one class that share the rows: each is reached in its own way."""

from __future__ import annotations

from collections.abc import Hashable

from edgefair.progress import Progress
from edgefair.targets.transports.base import Section, Way


class PoolWay(Way):
    """The ways to its members."""

    section = Section("pool", tuple[str, ...], "Targets that share the rows of transport pool.")

    @staticmethod
    def members(settings: tuple[str, ...]) -> tuple[str, ...]:
        """All that are listed."""
        return settings

    @property
    def machine_keys(self) -> frozenset[Hashable]:
        """Of all members."""
        return frozenset().union(*(way.machine_keys for way in self._ways().values()))

    def prepare(self, progress: Progress) -> None:
        """Prepare every member.

        Raises:
            MeasurementError: something that one takes is missing.
        """
        for name, way in self._ways().items():
            way.prepare(progress.named(name))

    def lacks(self) -> str | None:
        """What the first member lacks that lacks something."""
        found = ((name, way.lacks()) for name, way in self._ways().items())
        return next((f"{name}: {lacking}" for name, lacking in found if lacking is not None), None)

    def _ways(self) -> dict[str, Way]:
        from edgefair.targets.transports import transport_named

        return {item.name: transport_named(item.transport)(item) for item in self.profile.load_members()}


TRANSPORT = PoolWay
