"""A study from its plan to its table, resumably."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgefair.errors import UsageError
from edgefair.progress import Progress, is_recorded, join, silent, timed
from edgefair.report.results.studies.carried_out import StudyRun, in_words
from edgefair.study.executors import Settings, open_executor, warm
from edgefair.study.levels import FACTORS
from edgefair.study.planned import planned_contrasts
from edgefair.study.reading import PLAN_SCHEMA, plan_digest
from edgefair.study.run.given import Given
from edgefair.study.run.keys import environment, project_settings, row_key, training_name
from edgefair.study.run.prepared import check_study, rows_digest, rows_of
from edgefair.study.run.schedule import carry_out
from edgefair.study.run.store import Store
from edgefair.study.run.tasks import Task, tasks_of
from edgefair.study.run.work import Done, Setup, Workshop
from edgefair.study.table import Row

# Lines of a study in a log, about.
TOLD = 20
# The table is written anew when the last one is older, so that the report of a study that runs, or was killed, has it.
TABLE_S = 30.0
# What workers load.
LOADED = "edgefair.study.run.loaded"


def run_study(
    given: Given,
    output: Path,
    *,
    executor: str = "serial",
    settings: Settings | None = None,
    progress: Progress = silent,
) -> StudyRun:
    """Make every row of the plan that is not there yet, and write the table.

    Args:
        given: plan and project.
        output: folder of the study.

    Raises:
        UsageError, DataError, ModelError, PolicyError, MeasurementError: nothing was trained.
        UsageError, MeasurementError: a full disk, a worker of other code, a lost cluster: what is done is kept.
    """
    started = time.perf_counter()
    store = Store(output)
    store.prepare()
    with store.held(progress):
        if store.count() < len(given.plan.cells):
            warm(executor, LOADED)
        progress.stage("reading")
        data = rows_of(given)
        setup = setup_of(given, output, rows_digest(data))
        _keep_plan(store, given, setup)
        book = _Book(setup, store, progress)
        waiting = [index for index in setup.rows if index not in book.rows]
        reused, notes = len(book.rows), _not_mixed(store, setup)
        for note in notes:
            progress.stage(note)
        book.write_table()
        tasks = tasks_of(setup.plan.cells, waiting, rows=setup.rows, trainings=setup.trainings)
        try:
            if tasks:
                with timed("checking the levels"):
                    check_study(given, data, progress)
                del data
                workshop = functools.partial(Workshop, setup)
                with timed("cells"), open_executor(executor, workshop, settings or Settings()) as opened:
                    book.begin()
                    carry_out(tasks, opened, book.enter)
        finally:
            book.write_table()
    return StudyRun(
        study=setup.plan.study,
        folder=str(output),
        plan=plan_digest(setup.plan),
        cells=len(setup.plan.cells),
        reused=reused,
        failed={row.cell: row.error for row in book.rows.values() if row.error is not None},
        seconds=time.perf_counter() - started,
        notes=notes,
    )


def setup_of(given: Given, output: Path, rows: str) -> Setup:
    """What every process must know.

    Args:
        rows: digest of the rows of the project.
    """
    plan, config, made_by = given.plan, given.config, environment(given.config.train.device)
    cells = [*enumerate(plan.cells)]
    return Setup(
        plan=plan,
        config=config,
        output=output.resolve(),
        rows={index: row_key(plan, config, cell, rows=rows, made_by=made_by) for index, cell in cells},
        trainings={index: training_name(plan, config, cell, rows=rows, made_by=made_by) for index, cell in cells},
        made_by=made_by,
        timed=is_recorded(),
    )


def _keep_plan(store: Store, given: Given, setup: Setup) -> None:
    """Write the plan, or see that the folder is that of this one: what is asked was fixed before the first row.

    Raises:
        UsageError: it is of another one.
    """
    plan, digest = setup.plan, plan_digest(setup.plan)
    there = store.plan()
    if there is not None and there.get("digest") != digest:
        raise UsageError(
            f"'{store.folder}' holds the study of another plan (digest {str(there.get('digest'))[:16]})",
            expected=f"{digest[:16]}: levels, seeds and contrasts are fixed before the run",
            fix="choose another --output",
        )
    content = {
        "schema": PLAN_SCHEMA,
        "digest": digest,
        "plan": plan.model_dump(mode="json", exclude={"factors", "contrasts"})
        | {"seeds": list(plan.blocks)}
        | {"factors": {name: [str(item) for item in getattr(plan.factors, name)] for name in FACTORS}},
        "contrasts": [
            {"family": item.family, "name": item.name, "terms": [list(term) for term in item.terms]}
            for item in planned_contrasts(plan)
        ],
        "project": project_settings(setup.config),
        "made_by": dict(setup.made_by),
    }
    store.write_plan(given.text, content)


def _not_mixed(store: Store, setup: Setup) -> tuple[str, ...]:
    """Say that rows of other code or settings lie there, which are not taken."""
    others = store.others(setup.rows.values())
    if not others:
        return ()
    return (
        f"{len(others):,} rows in '{store.folder}' are of other code, settings or data: they are not mixed with those "
        "of this run, which are made anew",
    )


class _Book:
    """The rows of a study as they come in.

    Attributes:
        rows: position of a cell -> its row.
    """

    def __init__(self, setup: Setup, store: Store, progress: Progress) -> None:
        self._setup, self._store, self._progress = setup, store, progress
        self._digest = plan_digest(setup.plan)
        self._fresh, self._started, self._written = 0, 0.0, 0.0
        found = {
            index: row
            for index, key in setup.rows.items()
            if (row := store.row(key)) is not None
            and (not store.keeps_decisions(setup.plan.cells[index]) or store.decisions_of(key).exists())
        }
        self.rows = {index: self._row(index, row) for index, row in found.items()}

    def begin(self) -> None:
        """The clock starts."""
        self._started = time.perf_counter()
        self._tell()

    def write_table(self) -> None:
        """The table of the rows that are there."""
        self._store.write_table([self.rows[index] for index in sorted(self.rows)])
        self._written = time.monotonic()

    def enter(self, task: Task, done: Done) -> None:
        """One task has ended.

        Raises:
            EdgefairError: nothing more can be kept, or made.
        """
        join(done.stages)
        if done.fatal is not None:
            raise done.fatal
        cell = self._setup.plan.cells[task.cell]
        if task.kind == "training":
            if done.error is not None:
                self._progress.stage(f"training of '{cell.key}' failed: {done.error}")
            return
        row = {"status": "done", **done.row} if done.row is not None else {"status": "failed", "error": done.error}
        try:
            self._store.write_row(task.name, row)
        except OSError as error:
            raise self._store.full(f"{error.strerror}: {error.filename}") from error
        self.rows[task.cell] = self._row(task.cell, row)
        if done.error is not None:
            self._progress.stage(f"'{cell.key}' failed: {done.error}")
        self._fresh += 1
        if time.monotonic() - self._written > TABLE_S:
            self.write_table()
        self._tell()

    def _row(self, index: int, columns: Mapping[str, Any]) -> Row:
        cell = self._setup.plan.cells[index]
        levels = {name: str(getattr(cell, name)) for name in FACTORS}
        named = {"study": self._setup.plan.study, "plan": self._digest, "cell": cell.key, "condition": cell.condition}
        return Row(**{**columns, **named, **levels, "seed": cell.seed})

    def _tell(self) -> None:
        total, done = len(self._setup.rows), len(self.rows)
        left = ""
        if self._fresh:
            seconds = (time.perf_counter() - self._started) / self._fresh * (total - done)
            left = f", about {in_words(seconds)} left" if done < total else ""
        said = f"{done:,} of {total:,} cells{left}"
        if done == total or self._fresh * TOLD % total < TOLD:
            self._progress.stage(said)
        self._progress.step(done, total, said)
