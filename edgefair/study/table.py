"""A study's table: one row a measured file. Everything that a study says is a function of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from typing import Literal, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edgefair.errors import DataError, did_you_mean
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts
from edgefair.study.contrasts import Values

TABLE_SCHEMA = "edgefair.study/1"
CountColumn = Literal["counts", "paired_dense", "paired_control"]
Status = Literal["done", "failed"]
# Columns that are a matter of the machine and the moment: equal tables may differ in them.
TIMES = ("p50_ms", "p90_ms", "speed_up", "speed_up_lower", "speed_up_upper", "seconds", "versions")


@dataclass(frozen=True)
class Response:
    """A column that a plan can ask for.

    Attributes:
        words: what sentences call it.
        scale: of one unit that is shown, as 100 points of a share.
        unit: that is shown.
        of_gap: a model that collapsed has a small one, so contrasts leave its cell out.
        higher_is_better: for the people whom it is about.
    """

    words: str
    scale: float = 100.0
    unit: str = "points"
    of_gap: bool = False
    higher_is_better: bool = False

    @property
    def is_share(self) -> bool:
        """Whether it is a share of 1, of which an effect of so many points can be asked."""
        return self.unit == "points"


RESPONSES: Mapping[str, Response] = {
    "gap": Response("gap", of_gap=True),
    "tpr_gap": Response("TPR gap", of_gap=True),
    "fpr_gap": Response("FPR gap", of_gap=True),
    "refitted_gap": Response("gap at the refitted operating point", of_gap=True),
    "auc_gap": Response("AUC gap", of_gap=True),
    "accuracy": Response("accuracy", higher_is_better=True),
    "balanced": Response("balanced accuracy", higher_is_better=True),
    "worst_balanced": Response("worst group's balanced accuracy", higher_is_better=True),
    "worst_accuracy": Response("worst group's accuracy", higher_is_better=True),
    "psi_max": Response("largest excess loss of a group"),
    "flips_dense": Response("flips against the dense model"),
    "flips_control": Response("flips against the control"),
    "bytes": Response("size", 1e-6, "MB"),
    "packed_bytes": Response("packed size", 1e-6, "MB"),
    "p90_ms": Response("p90 latency", 1.0, "ms"),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One cell. What was not measured is None, never zero.

    Attributes:
        cell, condition: of `plan.Cell`: with and without the seed.
        parent: key of the stage that this file was made from.
        status: a cell that failed is a row with its `error`.
        counts: [group, label, decision], `GroupCounts.to_json` as JSON.
        paired_dense, paired_control: with the decisions of the dense model and of the control on the same rows,
            `PairedCounts.to_json` as JSON.
        refit_rows: which rows the refitted operating point was chosen on.
        flips: share of flips by (group, label) against dense and control, as JSON.
        network ... threads: what was made and where it was measured; gap ... versions: what was found.
    """

    study: str
    cell: str
    condition: str
    seed: int
    status: Status
    plan: str
    parent: str | None = None
    error: str | None = None
    block: int | None = None
    data: str | None = None
    digest: str | None = None
    rows: int | None = None
    noise: str | None = None
    keep: str | None = None
    thin: str | None = None
    extent: str | None = None
    treatment: str | None = None
    network: str | None = None
    params: int | None = None
    macs: int | None = None
    method: str | None = None
    ratio: float | None = None
    importance: str | None = None
    bits: int | None = None
    distill: str | None = None
    calibration: str | None = None
    recipe: str | None = None
    before: str | None = None
    during: str | None = None
    after: str | None = None
    target: str | None = None
    processor: str | None = None
    runtime: str | None = None
    threads: int | None = None
    counts: str | None = None
    paired_dense: str | None = None
    paired_control: str | None = None
    train_accuracy: float | None = None
    gap: float | None = None
    gap_lower: float | None = None
    gap_upper: float | None = None
    tpr_gap: float | None = None
    fpr_gap: float | None = None
    refitted_gap: float | None = None
    refitted_threshold: float | None = None
    refit_rows: str | None = None
    auc_gap: float | None = None
    accuracy: float | None = None
    balanced: float | None = None
    worst_balanced: float | None = None
    worst_accuracy: float | None = None
    psi_max: float | None = None
    collapsed: bool | None = None
    flips_dense: float | None = None
    flips_control: float | None = None
    flips: str | None = None
    gap_growth: float | None = None
    gap_growth_lower: float | None = None
    gap_growth_upper: float | None = None
    verdict: str | None = None
    reasons: str | None = None
    bytes: int | None = None
    packed_bytes: int | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    speed_up: float | None = None
    speed_up_lower: float | None = None
    speed_up_upper: float | None = None
    seconds: float | None = None
    versions: str | None = None

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise DataError(f"cell '{self.cell}': {name} is {value}", expected="a number, or none at all")
            # True is an int to Python, and no number of rows.
            wrong = not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind)
            if wrong:
                raise DataError(f"cell '{self.cell}': {name} is {value!r}", expected=kind[0].__name__)
        if self.status not in {"done", "failed"}:
            raise DataError(f"cell '{self.cell}': status '{self.status}'", expected="done or failed")
        if (self.status == "failed") != (self.error is not None):
            raise DataError(f"cell '{self.cell}' is {self.status}, and its error is {self.error!r}")


def _kinds() -> dict[str, tuple[type, ...]]:
    known: dict[str, tuple[type, ...]] = {}
    for name, hint in get_type_hints(Row).items():
        parts = {str} if hint == Status else set(getattr(hint, "__args__", (hint,)))
        # A whole number is a number, where one is due.
        known[name] = tuple(sorted(parts | ({int} if float in parts else set()), key=lambda item: item is type(None)))
    return known


_KINDS: dict[str, tuple[type, ...]] = {}
_KINDS.update(_kinds())


def _arrow() -> pa.Schema:
    types = {str: pa.string(), float: pa.float64(), bool: pa.bool_(), int: pa.int64()}
    columns = []
    for name, kind in _KINDS.items():
        one = next(item for item in (float, bool, int, str) if item in kind)
        columns.append(pa.field(name, types[one], nullable=type(None) in kind))
    return pa.schema(columns, metadata={b"schema": TABLE_SCHEMA.encode()})


def to_parquet(rows: Iterable[Row]) -> bytes:
    """The table as a Parquet file, in the order of its cells: equal rows give equal bytes.

    Raises:
        DataError: two rows of one cell.
    """
    ordered = sorted(rows, key=lambda row: (row.seed, row.cell))
    _once(ordered)
    names = [item.name for item in fields(Row)]
    table = pa.Table.from_pylist([{name: getattr(row, name) for name in names} for row in ordered], schema=_arrow())
    sink = BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def from_parquet(content: bytes) -> tuple[Row, ...]:
    """Read back what `to_parquet` wrote.

    Raises:
        DataError: no Parquet, a table of another schema, or rows that cannot be.
    """
    try:
        table = pq.read_table(BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"this is no table of a study: {error}", expected=TABLE_SCHEMA) from error
    found = ((table.schema.metadata or {}).get(b"schema") or b"none").decode(errors="replace")
    if found != TABLE_SCHEMA or table.schema.names != _arrow().names:
        raise DataError(
            f"a table of schema '{found}' with {len(table.schema.names)} columns",
            expected=f"{TABLE_SCHEMA} with {len(_arrow().names)}",
            fix="it is of another version of edgefair: run the study again, tables of two versions are not mixed",
        )
    rows = tuple(Row(**item) for item in table.to_pylist())
    _once(rows)
    return rows


def values_of(rows: Sequence[Row], response: str) -> Values:
    """One response of every cell that is done and has it, and which of them collapsed.

    Raises:
        DataError: no such response, rows of several plans, or two rows of one cell.
    """
    if response not in RESPONSES:
        raise DataError(
            f"no response '{response}'{did_you_mean(response, RESPONSES)}", expected=f"one of {', '.join(RESPONSES)}"
        )
    plans = sorted({row.plan for row in rows})
    if len(plans) > 1:
        raise DataError(f"rows of {len(plans)} plans: {', '.join(plans)}", expected="one plan: they are not mixed")
    _once(rows)
    done = [row for row in rows if row.status == "done" and getattr(row, response) is not None]
    return Values(
        response,
        {(row.condition, row.seed): float(getattr(row, response)) for row in done},
        frozenset((row.condition, row.seed) for row in done if RESPONSES[response].of_gap and row.collapsed),
    )


def tables_of(rows: Sequence[Row], condition: str, column: CountColumn = "counts") -> NDArray[np.int64]:
    """The counts of one condition, int64 [seeds, groups, labels, decisions...], for `bootstrap.crossed`.

    Raises:
        DataError: no such cell, one without these counts, or seeds with other groups or classes.
    """
    kind = GroupCounts if column == "counts" else PairedCounts
    found: list[GroupCounts | PairedCounts] = []
    for row in sorted((row for row in rows if row.condition == condition), key=lambda row: row.seed):
        text = getattr(row, column)
        if text is None:
            raise DataError(f"cell '{row.cell}' has no {column}", expected="a cell that was measured")
        try:
            found.append(kind.from_json(json.loads(text)))
        except ValueError as error:
            raise DataError(f"cell '{row.cell}': {column} is no JSON", expected=kind.SCHEMA) from error
    if not found:
        raise DataError(f"no cell '{condition}'{did_you_mean(condition, {row.condition for row in rows})}")
    if len({(item.attributes, item.groups, item.classes) for item in found}) > 1:
        raise DataError(f"the seeds of '{condition}' have other groups or classes", expected="one audit set")
    return np.stack([item.table for item in found])


def _once(rows: Sequence[Row]) -> None:
    seen: set[tuple[str, int]] = set()
    for row in rows:
        if (row.condition, row.seed) in seen:
            raise DataError(f"two rows of cell '{row.cell}'", expected="one row a cell")
        seen.add((row.condition, row.seed))
