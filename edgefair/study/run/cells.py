"""What one cell of a plan means for the project's config: its rows, its trainings, its compression, its treatments."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from edgefair.compress.config import CompressConfig
from edgefair.compress.names import IMPORTANCE_OPTIONS, INT8
from edgefair.config import Config
from edgefair.data.config import DataConfig
from edgefair.data.dataset import DataSet
from edgefair.data.hashing import numbered
from edgefair.data.purity.config import NoiseConfig, ThinConfig
from edgefair.data.purity.draws import uniform
from edgefair.errors import DataError
from edgefair.study.cells import Cell
from edgefair.study.levels import LABEL_BALANCE, OWN_INT8, QAT, REORDERED, Extent, Stage
from edgefair.study.plan import MANNERS, Plan
from edgefair.training.settings import DebiasConfig, MethodConfig, TrainPlan

# Weighs labels alone, blind to the group.
BALANCED_LABELS = MethodConfig(method="reweigh", options={"target": "labels"})


def data_config(base: DataConfig, cell: Cell) -> DataConfig:
    """The section `data:` of a cell: what its levels of purity do comes after what the project does already."""
    noise, thin, keep = base.noise, base.thin, base.keep
    if cell.noise.amount is not None:
        label = () if cell.noise.label is None else (cell.noise.label,)
        where = {column: (value,) for column, value in cell.noise.where}
        noise = (*noise, NoiseConfig(where=where, label=label, flip=cell.noise.amount))
    if cell.thin.amount is not None:
        where = {column: (value,) for column, value in cell.thin.where}
        thin = (*thin, ThinConfig(where=where, keep=cell.thin.amount, validation=True))
    if cell.keep.amount is not None:
        keep = int(cell.keep.amount)
    poorer = bool(noise or thin or keep is not None)
    # Rows that nothing is drawn from are the same in every seed, and are read once.
    seed = cell.seed if poorer else base.purity_seed
    return base.model_copy(update={"noise": noise, "thin": thin, "keep": keep, "purity_seed": seed})


def cell_rows(data: DataSet, plan: Plan, cell: Cell) -> DataSet:
    """The rows of a cell: no more validation rows than the plan gives, and the order that the cell has.

    Raises:
        DataError: fewer validation rows than that.
    """
    splits = dict(data.splits)
    if plan.after_rows is not None:
        held = data.validation
        if len(held) < plan.after_rows:
            raise DataError(
                f"after_rows is {plan.after_rows:,}, and there are {len(held):,} validation rows",
                fix="lower after_rows, or raise data.validation in the project",
            )
        order = np.argsort(
            uniform(numbered(held.hashes_of(held.features)), seed=cell.seed, salt="after rows"), kind="stable"
        )
        splits["validation"] = held.take(np.sort(order[: plan.after_rows]))
    if cell.extent.step == REORDERED:
        # A stream of its own: no seed of another cell draws this order.
        order = np.random.default_rng([cell.seed, 1]).permutation(len(data.train))
        splits["train"] = data.train.take(order)
    return dataclasses.replace(data, splits=splits)


def cell_config(base: Config, plan: Plan, cell: Cell, *, rows: int, runs: Path, run: str = "") -> Config:
    """The config of a cell.

    Args:
        rows: training rows that it has.
        runs: folder of the trainings.
        run: the training that the cell starts from, which teaches where the extent distils.
    """
    model = base.model
    if cell.extent.step == "scratch":
        from edgefair.training.networks.narrower import narrower

        options = narrower(model.network, model.options, float(cell.extent.amount or 1))
        model = model.model_copy(update={"options": options})
    return base.model_copy(
        update={
            "seed": cell.seed,
            "data": data_config(base.data, cell),
            "model": model,
            "runs": runs,
            "debias": _debias(plan, cell),
            "compress": compress_config(base.compress, plan, cell.extent, teacher=run),
            **_budgets(base, plan, rows),
        }
    )


def _debias(plan: Plan, cell: Cell) -> DebiasConfig:
    def weighed(stage: Stage) -> tuple[MethodConfig, ...]:
        by = cell.treatment.weighs(stage)
        if by == stage:
            return (MethodConfig(method=getattr(plan.methods, stage)),)
        return (BALANCED_LABELS,) if by == LABEL_BALANCE else ()

    post = (MethodConfig(method=plan.methods.after),) if "after" in cell.treatment.parts else ()
    return DebiasConfig(train=weighed("before"), finetune=weighed("during"), post=post)


def compress_config(base: CompressConfig, plan: Plan, extent: Extent, *, teacher: str = "") -> CompressConfig:
    """The section `compress:` of an extent; calibration and kind of INT8 are the project's where the plan has none.

    Raises:
        ValidationError: steps that contradict.
    """
    amount, manners = extent.amount, plan.compress
    own: dict[str, dict[str, Any]] = {
        "finetune-only": {"finetune_only": True},
        "prune": {"prune": amount, "importance": extent.importance or "magnitude"},
        "sparsity": {"sparsity": amount},
        "low-rank": {"low_rank": amount},
        "cluster": {"cluster": None if amount is None else int(amount)},
        "distil": {"distill": {"teacher": teacher, "student": amount}},
        QAT: {"qat": True},
    }
    taken = (key for key in manners if extent.step in MANNERS[key] and _reads(extent, key))
    asked = own.get(extent.step, {}) | {key: manners[key] for key in taken}
    if extent.precision == OWN_INT8:
        kind = manners.get("int8", base.int8) or "auto"
        asked |= {"int8": "static" if extent.step == QAT else kind}
        asked |= {"calibration": manners.get("calibration", base.calibration)}
    elif extent.precision in INT8:
        asked["int8"] = extent.precision
    elif extent.precision is not None:
        asked[extent.precision] = True
    return CompressConfig.model_validate({"repair": {"enabled": False}} | asked)


def _reads(extent: Extent, key: str) -> bool:
    """Whether the importance of an extent reads a key, where it is one's own."""
    owners = [name for name, options in IMPORTANCE_OPTIONS.items() if key in options]
    return not owners or extent.importance in owners


def _budgets(base: Config, plan: Plan, rows: int) -> dict[str, TrainPlan]:
    """Trainings of equal length and an equal choice of the epoch in every cell.

    Where a project leaves open which epoch is kept, the last one is: a treatment that also chose its epoch would be
    compared with none that did not.
    """
    train = base.train.for_rows(rows)
    changes: dict[str, Any] = {"keep": "last"} if train.keep == "auto" else {}
    if plan.updates is not None:
        changes["epochs"] = max(1, round(plan.updates / math.ceil(rows / train.batch_rows)))
    train = train.model_copy(update=changes)
    if base.finetune is not None:
        finetune = base.finetune.for_rows(rows)
        finetune = finetune.model_copy(update={"keep": "last"} if finetune.keep == "auto" else {})
    else:
        half = {"epochs": max(1, train.epochs // 2), "learning_rate": train.learning_rate / 2}
        finetune = train.model_copy(update=half)
    return {"train": train, "finetune": finetune}
