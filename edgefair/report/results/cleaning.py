"""Labels that look wrong: the values of `edgefair data clean`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

CLEANING_SCHEMA = "edgefair.cleaning/1"
NO_PROOF = (
    "A suspicious label is a hint and no proof: a model that is wrong about a whole group looks the same. Look at them "
    "before you correct or drop any."
)


@dataclass(frozen=True)
class SuspiciousCell:
    """One group and label.

    Attributes:
        group: of all attributes jointly.
        rows: training rows that have this label.
        suspicious: how many of them the models take, confidently, for another label.
    """

    group: str
    label: str
    rows: int
    suspicious: int

    @property
    def share(self) -> float:
        """Suspicious rows of these."""
        return self.suspicious / self.rows


@dataclass(frozen=True)
class SuspiciousRow:
    """One training row.

    Attributes:
        row: its id: the declared one, or one that is derived from its features.
        label: as it is.
        likely: what the models say.
        probability: of `label`, by the model that was not trained on the row.
    """

    row: str
    label: str
    likely: str
    probability: float


@dataclass(frozen=True)
class Cleaning:
    """The result of `edgefair data clean`.

    Attributes:
        source: where the rows come from.
        rows: training rows.
        folds: into which they were parted.
        attributes: whose joint groups have thresholds of their own.
        id_column: name of the rows' ids.
        cells: those that have rows, the largest share of suspicious rows in front.
        suspicious: the rows, the least probable label in front.
    """

    schema: ClassVar[str] = CLEANING_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.hints.cleaning"

    source: str
    rows: int
    folds: int
    attributes: tuple[str, ...]
    id_column: str
    cells: tuple[SuspiciousCell, ...]
    suspicious: tuple[SuspiciousRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; the rows themselves are counted only, for they are people's data."""
        body = {**asdict(self), "suspicious": len(self.suspicious)}
        return {"schema": CLEANING_SCHEMA, "hint": NO_PROOF, **body}
