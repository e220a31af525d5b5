"""A reference that was audited once, on rows of its own: what its compressed models are judged with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from edgefair.decision.policy import Policy
from edgefair.errors import DataError, PolicyError
from edgefair.measure.counts import GroupCounts
from edgefair.measure.design import Design
from edgefair.measure.paired import PairedCounts

ALONE = "omit --reference-audit: the rows at hand judge the model alone"
AUDIT_AGAIN = "audit the reference again: edgefair verify REFERENCE --uncompressed --write-reference-audit FILE"


@dataclass(frozen=True)
class AuditedReference:
    """The decisions of the model before compression on the rows of its audit, on a device of the same class.

    Attributes:
        model: sha256 of the model file.
        audit: sha256 of the audit, which a signature covers.
        created: when it was made, ISO 8601.
        key: id of the key whose signature was checked; None where nobody asked.
        counts: its decisions by group and label.
        design: effective sample sizes, where rows belong to subjects.
    """

    model: str
    audit: str
    created: str
    key: str | None
    counts: GroupCounts
    design: Design | None = None

    def check(self, paired: PairedCounts | None, design: Design | None, policy: Policy) -> None:
        """Refuse an audit that cannot be joined with what compression changed.

        Raises:
            DataError: no pairs of decisions, or audits of other attributes, classes or units.
            PolicyError: it counts people where the policy counts rows, or the other way round.
        """
        if paired is None:
            raise DataError("the audit of a reference, and no decisions of the reference beside the model's", fix=ALONE)
        for what in ("attributes", "classes"):
            found, expected = (tuple(getattr(part, what)) for part in (self.counts, paired))
            if found != expected:
                raise DataError(
                    f"the reference audit has the {what} {', '.join(found)}",
                    expected=", ".join(expected),
                    fix=AUDIT_AGAIN,
                )
        if (self.design is None) != (design is None):
            raise DataError(
                f"the rows of the reference audit {'are independent' if self.design is None else 'belong to subjects'}",
                expected=f"rows that {'are independent' if design is None else 'belong to subjects'} (data.subject)",
                fix=AUDIT_AGAIN,
            )
        if self.design is not None and self.design.counted != policy.subject_weights:
            raise PolicyError(
                f"the reference audit counts {self.design.counted}",
                expected=f"{policy.subject_weights} (policy.subject_weights)",
                fix=AUDIT_AGAIN,
            )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "model": self.model,
            "audit": self.audit,
            "created": self.created,
            "key": self.key,
            "counts": self.counts.to_json(),
            "design": None if self.design is None else self.design.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            DataError: counts that cannot be.
            KeyError, TypeError, ValueError, AttributeError: not such an object.
        """
        return cls(
            model=str(data["model"]),
            audit=str(data["audit"]),
            created=str(data["created"]),
            key=None if data["key"] is None else str(data["key"]),
            counts=GroupCounts.from_json(data["counts"]),
            design=None if data["design"] is None else Design.from_json(data["design"]),
        )
