"""One unit of a study's work, carried out in the process that calls it."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgefair.compress.names import CALIBRATED
from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.errors import EdgefairError, MeasurementError
from edgefair.files import sha256_json, write_atomic
from edgefair.progress import Stage, recorded, silent, timed
from edgefair.scratch import work_folder
from edgefair.study.cells import Cell
from edgefair.study.levels import OWN_INT8, PRECISIONS
from edgefair.study.plan import Plan
from edgefair.study.run.cells import cell_config, cell_rows, data_config
from edgefair.study.run.keys import environment
from edgefair.study.run.made import MODEL, make_file, reference_of
from edgefair.study.run.measured import Answers, Beside, answers_of, responses_of
from edgefair.study.run.store import Store
from edgefair.study.run.tasks import Partners, Task
from edgefair.targets import load_profile
from edgefair.training.settings import MethodConfig
from edgefair.workflow.job import Job
from edgefair.workflow.kept_targets import KeptTargets
from edgefair.workflow.train import train_on
from edgefair.workflow.training.torch_here import single_thread

# Data sets that a process keeps: the rows of neighbouring cells are often the same.
KEPT = 2
# Errors of a disk after which no other unit would fare better.
FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Setup:
    """What every process of a study must know.

    Attributes:
        config: of the project, with the settings of the plan.
        rows, trainings: position of a cell -> key of its row and name of its training.
        timed: whether every unit says where its time went.
    """

    plan: Plan
    config: Config
    output: Path
    rows: Mapping[int, str]
    trainings: Mapping[int, str]
    made_by: Mapping[str, Any]
    timed: bool = False


@dataclass(frozen=True)
class Done:
    """What a unit gave.

    Attributes:
        row: columns of the row, but for its plan; None of a training.
        error: why there is none.
        fatal: what ends the study: no other unit would fare better.
        stages: where the time went, where that is asked for.
    """

    row: dict[str, Any] | None = None
    error: str | None = None
    fatal: EdgefairError | None = None
    stages: Stage | None = None


class Workshop:
    """Carries out units, one after the other, and keeps what neighbours have in common: rows, and the target open."""

    def __init__(self, setup: Setup) -> None:
        single_thread()
        self._setup = setup
        self._store = Store(setup.output)
        self._partners = Partners(setup.plan.cells)
        self._data: dict[str, DataSet] = {}
        self._targets = KeptTargets()

    def __call__(self, task: Task) -> Done:
        """Carry out one unit; whatever goes wrong is told and not raised."""
        if not self._setup.timed:
            return self._carried_out(task)
        with recorded("work") as work, timed(task.kind):
            done = self._carried_out(task)
        return replace(done, stages=work)

    def _carried_out(self, task: Task) -> Done:
        cell = self._setup.plan.cells[task.cell]
        try:
            here = environment(self._setup.config.train.device)
            if here != self._setup.made_by:
                other = _other(here, self._setup.made_by)
                return Done(error=other.found, fatal=other)
            if task.kind == "training":
                self._trained(cell, task.cell)
                return Done()
            return Done(row=self._row(cell, task))
        except EdgefairError as error:
            if isinstance(error, MeasurementError):
                self.close()
            return Done(error=error.found)
        except OSError as error:
            why = f"{error.strerror}: {error.filename}"
            return Done(error=why, fatal=self._store.full(why) if error.errno in FULL else None)
        except Exception as error:
            return Done(error=f"internal error: {type(error).__name__}: {error}")

    def close(self) -> None:
        """Let the target go."""
        self._targets.let_go()

    def _job(self, cell: Cell, index: int) -> Job:
        setup = self._setup
        data = cell_rows(self._loaded(cell), setup.plan, cell)
        run = setup.trainings[index]
        config = cell_config(setup.config, setup.plan, cell, rows=len(data.train), runs=self._store.runs, run=run)
        return Job(config, data, silent, targets=self._targets, shelf=self._store.file_of(run))

    def _loaded(self, cell: Cell) -> DataSet:
        wanted = data_config(self._setup.config.data, cell)
        key = sha256_json(wanted.model_dump(mode="json"))
        found = self._data.pop(key, None)
        if found is None:
            found = load(wanted, base=self._setup.config.base, roles=("train", "validation", "audit"))
        self._data[key] = found
        for old in list(self._data)[:-KEPT]:
            del self._data[old]
        return found

    def _trained(self, cell: Cell, index: int) -> None:
        job, name = self._job(cell, index), self._setup.trainings[index]
        train_on(job, name=name, wait=True)
        reference_of(job, name, self._store.file_of(name))

    def _row(self, cell: Cell, task: Task) -> dict[str, Any]:
        started = time.perf_counter()
        setup, name = self._setup, self._setup.trainings[task.cell]
        job = self._job(cell, task.cell)
        reference = reference_of(job, name, self._store.file_of(name))
        others = self._beside(task.cell)
        with work_folder() as work:
            file = make_file(job, reference, name, work)
            dense = self._dense_file(task.cell) if setup.plan.latency else None
            with self._targets.open(load_profile(job.config.targets[0])) as probe:
                answers, times, model = answers_of(
                    probe, job, file, dense=None if dense == file.path else dense, latency=setup.plan.latency
                )
                with timed("responses"):
                    found = responses_of(probe, job, file, model, answers, others)
        if self._store.keeps_decisions(cell):
            write_atomic(self._store.decisions_of(task.name), answers.to_bytes())
        return {
            **_described(cell, setup, job, name),
            **found,
            **times,
            "seconds": time.perf_counter() - started,
            "versions": json.dumps(dict(setup.made_by), sort_keys=True),
        }

    def _beside(self, index: int) -> Beside:
        kept = {
            name: self._store.decisions_of(self._setup.rows[other]) for name, other in self._partners.of(index).items()
        }
        return Beside(**{name: Answers.read(path) for name, path in kept.items() if path.exists()})

    def _dense_file(self, index: int) -> Path | None:
        dense = self._partners.of(index).get("dense")
        return None if dense is None else self._store.file_of(self._setup.trainings[dense]) / MODEL


def _other(here: Mapping[str, Any], there: Mapping[str, Any]) -> MeasurementError:
    """Of a worker that would make other numbers than the study says: another machine, or code that has changed."""
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    said = ", ".join(f"{name} {here.get(name)} and not {there.get(name)}" for name in names)
    return MeasurementError(
        f"a worker of the study has {said}",
        expected="the same edgefair, Python and packages wherever a cell is made",
        fix="install the same versions on every node, change no code while a study runs, and run the same command",
    )


def _described(cell: Cell, setup: Setup, job: Job, training: str) -> dict[str, Any]:
    """The columns that say what the cell is."""
    extent, config, data = cell.extent, job.config, job.data
    debias = config.debias
    names = {
        "before": debias.train,
        "during": debias.finetune if extent.training == "finetune" else (),
        "after": debias.post,
    }
    return {
        "parent": training,
        "block": setup.plan.blocks.index(cell.seed),
        "data": data.source,
        "digest": data.train.fingerprint,
        "rows": len(data.train),
        "network": config.model.network,
        "method": extent.step,
        "ratio": extent.amount,
        "importance": extent.importance,
        "bits": PRECISIONS.get(extent.precision or "", 32),
        "distill": training if config.compress.distill is not None else None,
        "calibration": config.compress.calibration if extent.precision in {OWN_INT8, *CALIBRATED} else None,
        **{stage: "+".join(_method(item) for item in items or ()) or None for stage, items in names.items()},
    }


def _method(item: MethodConfig) -> str:
    options = ",".join(f"{key}={value}" for key, value in sorted(item.options.items()))
    return item.method + (f"({options})" if options else "")
