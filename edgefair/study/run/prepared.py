"""What no cell could be run with, found before hours are spent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from edgefair.data.dataset import DataSet, load
from edgefair.decision.decide import check_classes, check_waivers
from edgefair.errors import EdgefairError, UsageError
from edgefair.files import sha256_json
from edgefair.mistakes import first_mistake
from edgefair.progress import Progress, silent
from edgefair.study.cells import Cell
from edgefair.study.levels import PURITY
from edgefair.study.run.cells import cell_config, cell_rows, data_config
from edgefair.study.run.given import Given
from edgefair.targets import load_profile
from edgefair.workflow.clock import today
from edgefair.workflow.compression.checks import check_network, check_treatments
from edgefair.workflow.compression.post import check_post
from edgefair.workflow.compression.recipes import check_recipes
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.groups import check_groups
from edgefair.workflow.sealing.rows import RowSet
from edgefair.workflow.sealing.seal import check_not_sealed, check_shown

STUDY = "`edgefair study`"
NOWHERE = Path("runs")


def rows_of(given: Given) -> DataSet:
    """The rows of the project, as every study of it begins with them.

    Raises:
        DataError: rows that cannot be used.
        UsageError: the audit rows are sealed: a study shows what models decide of them.
    """
    data = load(given.config.data, base=given.config.base, roles=("train", "validation", "audit"))
    check_not_sealed(given.config, data)
    check_shown(given.config, RowSet.of(data.audit), by=STUDY)
    return data


def rows_digest(data: DataSet) -> str:
    """Of all rows of the project."""
    return sha256_json([data.train.fingerprint, data.validation.fingerprint, data.audit.fingerprint])


def check_study(given: Given, data: DataSet, progress: Progress = silent) -> None:
    """Refuse a study of which some cell could never be run.

    Raises:
        UsageError, DataError, ModelError, PolicyError: names the level that it fails on.
    """
    config, plan = given.config, given.plan
    check_waivers(config.policy, today())
    check_classes(config.policy, data.classes)
    load_profile(config.targets[0])
    for rows in (data.audit, data.validation, data.train):
        check_groups(config.policy, rows, data.classes)
    for role in ("train", "validation", "audit"):
        data.rows_for("a study", role)
    for factor in (*PURITY, "treatment", "extent"):
        progress.stage(f"checking the levels of {factor}")
        for cell in _each_level(plan.cells, factor):
            try:
                _check(given, data, cell, factor)
            except EdgefairError as error:
                level = getattr(cell, factor)
                raise type(error)(
                    f"{factor} '{level}' cannot be run: {error.found}", expected=error.expected, fix=error.fix
                ) from error


def _check(given: Given, data: DataSet, cell: Cell, factor: str) -> None:
    config, plan = given.config, given.plan
    if factor in PURITY:
        if getattr(cell, factor).amount is not None:
            data = load(data_config(config.data, cell), base=config.base, roles=("train", "validation", "audit"))
        cell_rows(data, plan, cell)
        return
    try:
        own = cell_config(config, plan, cell, rows=len(data.train), runs=NOWHERE, run="dense")
    except ValidationError as error:
        raise UsageError(str(first_mistake(error))) from error
    job = Job(own, data, silent)
    if factor == "treatment":
        check_post(own.debias.post)
        check_treatments(job)
    else:
        check_recipes(own)
        check_network(job)


def _each_level(cells: tuple[Cell, ...], factor: str) -> Iterator[Cell]:
    """The first cell of every level."""
    seen = set()
    for cell in cells:
        level = getattr(cell, factor)
        if level not in seen:
            seen.add(level)
            yield cell
