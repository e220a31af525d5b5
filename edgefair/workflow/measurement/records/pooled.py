"""Devices of a pool as a record keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgefair.measure.footprint import Footprint
from edgefair.measure.latency import rule_unmet
from edgefair.probe.bundles.gates import LATENCY, LOAD, MEMORY
from edgefair.targets.fingerprint import checked_fingerprint
from edgefair.targets.sections import LatencyRules
from edgefair.targets.timing import check_times

Times = Mapping[str, NDArray[np.int64]]
NO_FOOTPRINT = (
    "loading was not measured: decisions were brought, the model is built once or takes too long to load again, or the "
    "record is an older one"
)


def lacking(
    times: Times, footprint: Footprint | None, *, not_timed: str, rules: LatencyRules
) -> tuple[tuple[str, str], ...]:
    """Gate id -> why it cannot be judged by what one device showed, of what needs a clock.

    Args:
        not_timed: why there are no times; empty where there are.
        rules: how long latency was to be measured: too short a time is none.
    """
    not_judged = not_timed or rule_unmet(times, **rules.rule)
    of_loading = not_timed or NO_FOOTPRINT
    found = ((LATENCY, not_judged),) if not_judged else ()
    return found if footprint is not None else (*found, (LOAD, of_loading), (MEMORY, of_loading))


@dataclass(frozen=True, eq=False)
class DeviceRecord:
    """What one device of a pool did and showed.

    Attributes:
        device: its fingerprint.
        rows: that it decided.
        footprint, times, not_timed: as of `TargetRecord`.
    """

    name: str
    device: dict[str, Any]
    rows: int
    footprint: Footprint | None
    times: dict[str, NDArray[np.int64]]
    not_timed: str

    def facts(self) -> dict[str, Any]:
        """All but the arrays, as JSON types."""
        return {
            "name": self.name,
            "device": self.device,
            "rows": self.rows,
            "footprint": None if self.footprint is None else self.footprint.to_json(),
            "times": list(self.times),
            "not_timed": self.not_timed,
        }

    def arrays(self, prefix: str) -> dict[str, NDArray[np.int64]]:
        """Query times by names that begin with `prefix`."""
        return {f"{prefix}times/{name}": times for name, times in self.times.items()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], prefix: str) -> Self:
        """Read back `facts` and `arrays`.

        Raises:
            KeyError, TypeError, ValueError: not those of a device.
        """
        found = cls(
            name=str(facts["name"]),
            device=checked_fingerprint(facts["device"]),
            rows=facts["rows"],
            footprint=None if facts["footprint"] is None else Footprint.from_json(facts["footprint"]),
            times={name: arrays[f"{prefix}times/{name}"] for name in facts["times"]},
            not_timed=str(facts["not_timed"]),
        )
        if type(found.rows) is not int or found.rows < 0:
            raise ValueError(f"device '{found.name}' cannot have decided {found.rows!r} rows")
        if found.times:
            check_times(found.times, {"candidate", *found.times})
        elif not found.not_timed:
            raise ValueError(f"it has no query times for device '{found.name}' and no reason")
        return found
