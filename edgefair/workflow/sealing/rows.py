"""What audit rows are known by, so that their account is found again however they are drawn, cut or named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from edgefair.data.hashing import hash_categories
from edgefair.data.rows import TableRows
from edgefair.measure.sketch import SAME_ROWS, SKETCH_ROWS, read_sketch, shared, sketch_of, sketch_text

IDS, CONTENT = "ids", "content"
# Share of different rows from which on equal content means the same person, where there are ids too. Where people share
# their answers, only ids tell them apart.
TELLING = 0.9
# Share of content that training or validation rows do not have in common with an audit set by chance.
MOSTLY = 0.5


@dataclass(frozen=True)
class RowSet:
    """An audit set.

    Attributes:
        fingerprint: sha256 of its rows' content.
        sketches: of the hashes of its ids, of its rows' content, or of both: new ids do not make new people.
    """

    fingerprint: str
    sketches: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, rows: TableRows) -> Self:
        """What the rows are known by."""
        sketches = {}
        if rows.ids is not None:
            sketches[IDS] = sketch_of(hash_categories(rows.ids))
        if rows.ids is None or _is_telling(rows):
            sketches[CONTENT] = sketch_of(rows.row_hashes)
        return cls(rows.fingerprint, sketches)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote."""
        return cls(entry["audit"], {kind: read_sketch(text) for kind, text in entry["rows"].items()})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"audit": self.fingerprint, "rows": {kind: sketch_text(rows) for kind, rows in self.sketches.items()}}

    def related(self, known: Mapping[str, RowSet]) -> frozenset[str]:
        """Fingerprints of the known sets that hold some of these rows, which so share their account.

        A set is related that shares more than SAME_ROWS of the smaller one's rows with this one; and all that share a
        row, where together they do: a set that is pieced together of small parts of others is none of fresh rows.
        """
        found = {self.fingerprint} & known.keys()
        for kind, own in self.sketches.items():
            touching = {name: rows for name, item in known.items() if shared(rows := item.sketches.get(kind, ()), own)}
            together = sorted(set().union(*touching.values()))[:SKETCH_ROWS]
            every = shared(together, own) > SAME_ROWS
            found |= {name for name, rows in touching.items() if every or shared(rows, own) > SAME_ROWS}
        return frozenset(found)


def mixed_in(rows: TableRows, known: Mapping[str, RowSet]) -> bool:
    """Whether rows that are for another use hold some of the known sets': by their ids, or half of them by content.

    People can share all of their content with others, as in the whole of a survey with few questions: then it says
    nothing, and without ids nobody can tell.
    """
    found = RowSet.of(rows)
    shares = {IDS: SAME_ROWS, **({CONTENT: MOSTLY} if _is_telling(rows) else {})}
    return any(
        shared(item.sketches.get(kind, ()), found.sketches.get(kind, ())) > share
        for kind, share in shares.items()
        for item in known.values()
    )


def _is_telling(rows: TableRows) -> bool:
    return rows.different(rows.content) >= TELLING * len(rows)
