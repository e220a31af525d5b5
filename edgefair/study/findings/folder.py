"""A study as its run left it in a folder: the plan, and the table as far as it goes."""

from __future__ import annotations

from pathlib import Path

from edgefair.errors import DataError, UsageError
from edgefair.probe.regular import LargerError, read_regular
from edgefair.study.plan import Plan
from edgefair.study.reading import plan_digest, read_plan
from edgefair.study.table import Row, from_parquet

PLANS, TABLE = ("plan.yaml", "plan.json"), "table.parquet"
# Far above a table of a million cells.
MOST_BYTES = 1 << 32


def read_study(folder: Path) -> tuple[Plan, tuple[Row, ...]]:
    """Plan and rows of a study.

    Raises:
        UsageError: no study, or a plan that is none.
        DataError: a table that is none, or is of another plan.
    """
    source = next((path for name in PLANS if (path := folder / name).is_file()), None)
    if source is None:
        raise UsageError(
            f"'{folder}' holds no study: it has neither {' nor '.join(PLANS)}",
            expected="the folder that `edgefair study PLAN` wrote",
        )
    plan = read_plan(_read(source).decode(errors="replace"), source=f"'{source}'")
    if not (folder / TABLE).is_file():
        raise UsageError(
            f"'{folder}' has a plan and no {TABLE}: no cell has been measured", fix="run the study until one has"
        )
    rows = from_parquet(_read(folder / TABLE))
    check_rows(plan, rows)
    return plan, rows


def check_rows(plan: Plan, rows: tuple[Row, ...]) -> None:
    """Whether the rows are of this plan.

    Raises:
        DataError: they are of another one, or of cells that it does not have.
    """
    digest = plan_digest(plan)
    other = next((row.plan for row in rows if row.plan != digest), None)
    if other is not None:
        raise DataError(
            f"the table is of plan {other:.16}, and the plan beside it is {digest:.16}: it was changed after the run",
            fix="bring the plan back that was run, or run the changed one into a folder of its own",
        )
    known = {cell.key for cell in plan.cells}
    unknown = next((row.cell for row in rows if row.cell not in known), None)
    if unknown is not None:
        raise DataError(f"the table has a cell that the plan does not have: {unknown}")


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, most=MOST_BYTES)
    except LargerError as error:
        raise UsageError(f"'{path}' has more than {MOST_BYTES:,} bytes: no file of a study") from error
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror}") from error
