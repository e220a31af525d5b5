"""Treatments of the compressed file, fitted on what it answers on the validation rows of the first target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.config import Config
from edgefair.data.groups import joint_groups
from edgefair.data.rows import TableRows
from edgefair.debias import open_post_method
from edgefair.debias.post import Judge
from edgefair.errors import UsageError
from edgefair.joint import group_name
from edgefair.measure.counts import GroupCounts
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.progress import timed
from edgefair.targets import load_profile
from edgefair.training.selection import Standing, standing
from edgefair.training.settings import MethodConfig
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.outputs import TargetAnswers


def check_post(methods: Sequence[MethodConfig]) -> None:
    """Refuse what cannot work before hours are spent.

    Raises:
        UsageError: an unknown method or option, or the last layer changed after the threshold that belongs to it.
    """
    for item in methods:
        open_post_method(item.method, item.options)
    names = [item.method for item in methods]
    if len(set(names)) != len(names):
        raise UsageError(
            f"debias.post lists a method twice: {', '.join(names)}",
            fix="list each one once (--post, debias.post)",
        )
    if names[:1] == ["threshold"] and "last-layer" in names:
        raise UsageError("debias.post: last-layer after threshold would undo the threshold", fix="put last-layer first")


def apply_post(
    job: Job, validation: TableRows, spec: ModelSpec, path: Path, methods: Sequence[MethodConfig]
) -> tuple[ModelSpec, dict[str, Any]]:
    """Apply treatments to a model file, in place and in order; its new spec and what was chosen.

    Args:
        validation: the rows that they are fitted on.
        path: the file as it would ship.

    Raises:
        DataError, ModelError, PolicyError: see the methods.
    """
    model, profile = onnx.load_model(path), load_profile(job.config.targets[0])
    judge = _judge(job.config, validation, job.data.classes)
    chosen: dict[str, Any] = {}
    for item in methods:
        job.progress.stage(f"{item.method} on validation rows")
        method = open_post_method(item.method, item.options)
        asked = TargetAnswers(profile, validation, spec, targets=job.targets, few=False)
        with timed(item.method), asked as answers:
            model, spec, chosen[item.method] = method.apply(model, spec, answers, judge)
    onnx.save_model(model, path)
    return spec, chosen


def post_notes(chosen: dict[str, Any]) -> tuple[str, ...]:
    """What each method chose, for the reader of the report."""
    return tuple(
        f"{name} (fitted on validation rows of the compressed model): "
        + ", ".join(f"{key} {_shown(value)}" for key, value in found.items())
        for name, found in chosen.items()
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " ".join(_shown(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _judge(config: Config, held: TableRows, classes: tuple[str, ...]) -> Judge:
    group, groups = joint_groups(held.sensitive, config.policy.base_attributes)
    texts = {
        name: np.array(held.sensitive[name].values, dtype=object)[held.sensitive[name].codes]
        for name in config.policy.base_attributes
    }

    def standing_of(decision: NDArray[np.int64], rows: NDArray[np.int64] | None = None) -> Standing:
        at = np.arange(len(held)) if rows is None else rows
        counts = GroupCounts.from_rows(
            {name: held.sensitive[name].take(at) for name in config.policy.base_attributes},
            label=held.label[at],
            decision=decision,
            classes=classes,
        )
        return standing(counts, config.policy, aim=config.train.aim)

    return Judge(
        cells=tuple(f"group '{group_name(item)}' and label '{label}'" for item in groups for label in classes),
        cell=group * len(classes) + held.label,
        label=held.label,
        attributes=texts,
        model_inputs=config.policy.model_inputs,
        worth=standing_of,
        chance=1 / len(classes) if config.policy.min_balanced_accuracy is None else None,
        seed=config.seed,
    )
