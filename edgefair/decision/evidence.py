"""What was measured, as far as a verdict depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from edgefair.decision.reference.audited import AuditedReference
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Design
from edgefair.measure.footprint import Footprint
from edgefair.measure.labels.strata import Strata
from edgefair.measure.latency import LatencySummary
from edgefair.measure.paired import PairedCounts
from edgefair.measure.pooled import PoolDevice, check_names
from edgefair.probe.bundles.gates import LATENCY, LOAD, MEMORY, id_of, name_of

OF_CLOCK = frozenset({LATENCY, LOAD, MEMORY})


@dataclass(frozen=True)
class Evidence:
    """The measurement of one model on one device.

    Attributes:
        counts: decisions of the candidate by group and label.
        paired: decisions of reference and candidate on the same rows, where there is a reference.
        latency: of the candidate; None where it was not measured.
        size_bytes: of the model file; None where it is not known.
        design: effective sample sizes, where rows belong to subjects; None for independent rows.
        own_reference: whether nothing was compressed: the model before compression is this same file, so it lost
            nothing, whatever the rows are.
        not_measured: gate id -> why its evidence is lacking, in words; a gate of that id is not judged by what
            there is.
        audited: the audit of the reference on rows of its own, joined with `paired` in the gate of the gap.
        strata: where a label design chose which rows have labels: all rows by stratum and decision, of which the counts
            are the labelled ones; None where every row has a label.
        footprint: time to load the candidate and its memory; None where they were not measured.
        pool: where several devices decided the rows, what each did and showed: the gates of what needs a clock are
            those of its worst device. `latency` and `footprint` are those of the slowest then.
    """

    counts: GroupCounts
    paired: PairedCounts | None = None
    latency: LatencySummary | None = None
    size_bytes: int | None = None
    design: Design | None = None
    not_measured: tuple[tuple[str, str], ...] = ()
    own_reference: bool = False
    audited: AuditedReference | None = None
    strata: Strata | None = None
    footprint: Footprint | None = None
    pool: tuple[PoolDevice, ...] = ()

    @property
    def of_devices(self) -> dict[str, Self]:
        """The same as each device of a pool shows it, by its name; where there is no pool, as it is."""
        if not self.pool:
            return {"": self}
        beside = tuple(item for item in self.not_measured if item[0] not in OF_CLOCK)
        return {
            item.name: replace(
                self,
                pool=(),
                latency=item.latency,
                footprint=item.footprint,
                not_measured=(*beside, *item.not_measured),
            )
            for item in self.pool
        }

    @property
    def decided(self) -> GroupCounts:
        """The decisions of all rows, whether or not they have a label."""
        return self.counts if self.strata is None else self.strata.decided()

    def why_missing(self, gate: str, default: str) -> str:
        """Why the evidence of a gate is lacking."""
        return dict(self.not_measured).get(gate, default)

    def to_json(self) -> dict[str, Any]:
        """All but the counts as plain JSON types, from which `from_json` makes what gives the same verdict."""
        return {
            "paired": None if self.paired is None else self.paired.to_json(),
            "latency": None if self.latency is None else self.latency.to_json(),
            "size_bytes": self.size_bytes,
            "design": None if self.design is None else self.design.to_json(),
            "not_measured": {name_of(gate): why for gate, why in self.not_measured},
            "own_reference": self.own_reference,
            **({} if self.audited is None else {"reference_audit": self.audited.to_json()}),
            **({} if self.strata is None else {"strata": self.strata.to_json()}),
            **({} if self.footprint is None else {"footprint": self.footprint.to_json()}),
            **({"pool": [item.to_json() for item in self.pool]} if self.pool else {}),
        }

    @classmethod
    def from_json(cls, counts: GroupCounts, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote, beside the counts.

        Raises:
            DataError: paired counts that cannot be.
            KeyError, TypeError, ValueError: not such an object.
        """
        pool = tuple(PoolDevice.from_json(item) for item in data.get("pool", ()))
        check_names(item.name for item in pool)
        return cls(
            counts=counts,
            paired=None if data["paired"] is None else PairedCounts.from_json(data["paired"]),
            latency=None if data["latency"] is None else LatencySummary.from_json(data["latency"]),
            size_bytes=data["size_bytes"],
            design=None if data["design"] is None else Design.from_json(data["design"]),
            not_measured=tuple((id_of(name), why) for name, why in dict(data["not_measured"]).items()),
            own_reference=bool(data.get("own_reference", False)),
            audited=AuditedReference.from_json(data["reference_audit"]) if "reference_audit" in data else None,
            strata=None if data.get("strata") is None else Strata.from_json(data["strata"]),
            footprint=None if data.get("footprint") is None else Footprint.from_json(data["footprint"]),
            pool=pool,
        )
