"""Which audit rows are to be labelled: drawn at random within strata, so that a verdict can weigh them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgefair.data.hashing import hash_categories, joint, mix, text_hash
from edgefair.data.rows import TableRows
from edgefair.errors import DataError
from edgefair.mistakes import first_mistake
from edgefair.probe.regular import read_regular

LABEL_DESIGN_SCHEMA = "edgefair.label-design/1"
NAMED = 3

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]


class DesignStratum(BaseModel):
    """Rows of one joint group that the scoring model decides alike, with scores in one range.

    A row of it was chosen with probability `chosen / rows`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    group: list[str] = Field(description="One value for every attribute.")
    decision: str
    scores: tuple[float, float] | None = Field(description="Smallest and largest probability of the decided class.")
    rows: int = Field(ge=1)
    chosen: int = Field(ge=1)
    probability: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.chosen > self.rows or abs(self.probability - self.chosen / self.rows) > 1e-9:
            raise ValueError(f"a stratum of {self.rows} rows, {self.chosen} chosen with {self.probability}")
        return self


class LabelDesign(BaseModel):
    """A label design, as its file holds it.

    Which rows were chosen is not written down: in every stratum those whose hashes of id and seed are smallest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_: str = Field(alias="schema", pattern=f"^{LABEL_DESIGN_SCHEMA}$")
    seed: int = Field(ge=0)
    model: str = Field(description="SHA-256 of the model that scored the rows.")
    attributes: list[str] = Field(min_length=1)
    ids: str = Field(description="SHA-256 over the sorted hashes of the rows' ids.")
    content: str = Field(description="SHA-256 over ids with everything but the labels.")
    strata: list[DesignStratum] = Field(min_length=1)
    stratum: list[int] = Field(description="Stratum of every audit row, rows in the order of the hashes of their ids.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(not 0 <= at < len(self.strata) for at in self.stratum):
            raise ValueError("a row of a stratum that is not listed")
        sizes = np.bincount(np.array(self.stratum, dtype=np.int64), minlength=len(self.strata))
        if sizes.tolist() != [item.rows for item in self.strata]:
            raise ValueError("the sizes of the strata are not those of their rows")
        if any(len(item.group) != len(self.attributes) for item in self.strata):
            raise ValueError("a group needs one value for every attribute")
        return self

    @classmethod
    def of(
        cls,
        rows: TableRows,
        *,
        label: str,
        seed: int,
        model: str,
        attributes: Iterable[str],
        strata: list[DesignStratum],
        stratum: Ints,
    ) -> Self:
        """The design of some rows.

        Args:
            label: the column of labels.
            stratum: of every row, int64 [rows].
        """
        ids = id_hashes(rows)
        return cls(
            schema=LABEL_DESIGN_SCHEMA,
            seed=seed,
            model=model,
            attributes=list(attributes),
            ids=_digest(ids),
            content=_digest(joint(ids, _unlabelled_hashes(rows, label))),
            strata=strata,
            stratum=stratum[np.argsort(ids)].tolist(),
        )

    @property
    def budget(self) -> int:
        """Rows that were chosen."""
        return sum(item.chosen for item in self.strata)

    def stratum_of(self, rows: TableRows, label: str) -> Ints:
        """The stratum of every row, int64 [rows].

        Raises:
            DataError: other rows than those of the design, or rows that have changed since.
        """
        ids = id_hashes(rows)
        if len(ids) != len(self.stratum) or _digest(ids) != self.ids:
            raise DataError(
                f"the label design was made for {len(self.stratum):,} audit rows, and these {len(ids):,} are not the "
                "same ones: their ids differ",
                expected="all audit rows of `edgefair plan --label-budget`, labelled or not",
                fix="put the rows back that were removed or added, or make a new design",
            )
        if _digest(joint(ids, _unlabelled_hashes(rows, label))) != self.content:
            raise DataError(
                "audit rows have changed since the label design was made: the ids are the same, and features or groups "
                "differ",
                expected="rows in which nothing changes but the label",
                fix="undo the change (or read the rows as they were read then: data.features, data.sensitive, "
                "data.categorical), or make a new design",
            )
        found = np.empty(len(ids), dtype=np.int64)
        found[np.argsort(ids)] = self.stratum
        return found

    def chosen_among(self, rows: TableRows, stratum: Ints) -> NDArray[np.bool_]:
        """Which rows are to be labelled, bool [rows]."""
        return draw(id_hashes(rows), stratum, np.array([item.chosen for item in self.strata]), seed=self.seed)


def draw(ids: Hashes, stratum: Ints, sizes: Ints, *, seed: int) -> NDArray[np.bool_]:
    """A simple random sample of so many rows of every stratum, whatever the order of the rows: bool [rows]."""
    order = np.lexsort((mix(ids + text_hash(f"{seed} label design")), stratum))
    counts = np.bincount(stratum, minlength=len(sizes))
    rank = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
    found = np.zeros(len(ids), dtype=bool)
    found[order] = rank < sizes[stratum[order]]
    return found


def load_design(path: Path) -> LabelDesign:
    """Read a design file.

    Raises:
        DataError: there is none, or it is no label design.
    """
    try:
        return LabelDesign.model_validate_json(read_regular(path))
    except (OSError, ValidationError, RecursionError) as error:
        why = str(first_mistake(error)) if isinstance(error, ValidationError) else str(error)
        raise DataError(
            f"'{path}' is no label design: {why}",
            expected=f"a file that `edgefair plan --label-budget` wrote ({LABEL_DESIGN_SCHEMA})",
        ) from error


def designed(rows: TableRows, path: Path, label: str) -> TableRows:
    """Audit rows with their strata.

    Raises:
        DataError: no design, one of other rows, a chosen row without a label, or a label of a row that was not chosen.
    """
    design = load_design(path)
    if rows.subject is not None:
        raise DataError(
            "the audit rows belong to subjects, and a label design takes rows as independent people",
            fix="keep one row of every person, or label all rows and omit data.label_design",
        )
    stratum = design.stratum_of(rows, label)
    chosen, has = design.chosen_among(rows, stratum), rows.label >= 0
    if (has & ~chosen).any():
        raise DataError(
            f"{int((has & ~chosen).sum()):,} audit rows have a label and were not chosen by the label design, for "
            f"example {_named(rows, has & ~chosen)}",
            expected="labels of the chosen rows only: rows that somebody picked would bias every rate",
            fix=f"empty column '{label}' in these rows",
        )
    if (chosen & ~has).any():
        raise DataError(
            f"{int((chosen & ~has).sum()):,} of {design.budget:,} rows of the label design have no label yet, for "
            f"example {_named(rows, chosen & ~has)}",
            expected="a label in every chosen row: those that are left out are rarely like the others",
            fix="label them, or make a new design for the rows that can be labelled",
        )
    return replace(rows, stratum=stratum)


def id_hashes(rows: TableRows) -> Hashes:
    """A hash of every row's declared id, uint64 [rows].

    Raises:
        DataError: no id is declared.
    """
    if rows.ids is None:
        raise DataError(
            "a label design needs an id of every row, to bring the labels back to their rows",
            fix="add a column of ids to the data and declare it as data.id",
        )
    return hash_categories(rows.ids)


def _unlabelled_hashes(rows: TableRows, label: str) -> Hashes:
    """A hash of everything but the label, uint64 [rows]."""
    return rows.hashes_of([name for name in rows.content if name != label])


def _digest(hashes: Hashes) -> str:
    return hashlib.sha256(np.sort(hashes).astype("<u8", copy=False).data).hexdigest()


def _named(rows: TableRows, which: NDArray[np.bool_]) -> str:
    ids = rows.ids.take(np.flatnonzero(which)[:NAMED]).text() if rows.ids is not None else []
    return ", ".join(f"'{item}'" for item in ids)
