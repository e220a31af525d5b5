"""Who stands to lose from compression: what the model of a finished run tells, before anything is compressed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.data.groups import joint_groups
from edgefair.errors import ModelError, missing_extra
from edgefair.joint import Group, group_name
from edgefair.probe.features import plain_text
from edgefair.progress import Progress, silent
from edgefair.report.results.diagnosis import FEW_ROWS, AttributeExposure, Diagnosis, Exposure, who_loses_first
from edgefair.streams import Stream
from edgefair.workflow.measurement.sampling import draw_cells, stands_for
from edgefair.workflow.models.runs import choose_run
from edgefair.workflow.models.vocabulary import categories_of
from edgefair.workflow.sealing.seal import check_not_sealed
from edgefair.workflow.training.predictions import probability_of

if TYPE_CHECKING:
    from edgefair.data.rows import TableRows
    from edgefair.probe.onnx_files.spec import ModelSpec
    from edgefair.training.classifier import Classifier
    from edgefair.training.diagnose import Batch, Batches, Sensitivity

BATCH_ROWS = 1024
# Label of a row that is counted with its whole group.
ANY = -1

Ints = NDArray[np.int64]
# Positions of training rows, their weights in the mean (which add up to 1), and what they are -> what was measured.
Measure = Callable[[Ints, NDArray[np.float32], str], "Sensitivity"]


@dataclass(frozen=True, eq=False)
class _Groups:
    """The groups of one attribute: those declared, and those that have rows.

    Attributes:
        train: index of every training row's group, int64 [rows].
        validation: likewise.
    """

    values: tuple[Group, ...]
    train: Ints
    validation: Ints


@dataclass(frozen=True, eq=False)
class _Sample:
    """The training rows that are measured.

    Attributes:
        rows: their positions, int64 [sample].
        stands_for: training rows that each of them stands for, float64 [sample]: rows of its cell / sampled ones.
    """

    rows: Ints
    stands_for: NDArray[np.float64]


def diagnose(
    config: Config, *, run: str | None = None, rows: int = 512, extent: float = 0.05, progress: Progress = silent
) -> Diagnosis:
    """How exposed every (group, label) cell and every group of the policy is to a change of the weights.

    A seeded sample of the training rows is measured. A group's numbers weigh its cells as the whole split has them.

    Args:
        run: name of a finished training run; default: the only one.
        rows: of each cell of joint group and label, at most so many are measured.
        extent: perturbation that the bound is for, relative to the norm of the weights.

    Raises:
        UsageError: no such run, or no PyTorch.
        ModelError: the run's weights cannot be loaded, it has other classes, or its loss is not finite.
        DataError: rows that the run's model does not fit.
    """
    try:
        from edgefair.training.build import load_classifier
        from edgefair.training.diagnose import ITERATIONS, weight_norm
        from edgefair.training.run import load_run
    except ImportError as error:
        raise missing_extra("diagnose", "torch", error) from error
    name = choose_run(config, run)
    finished = load_run(config.run_path(name))
    progress.stage("reading")
    data = load(config.data, base=config.base, roles=("train", "validation"), categories=categories_of(finished.spec))
    check_not_sealed(config, data)
    if tuple(map(plain_text, finished.spec.classes)) != data.classes:
        raise ModelError(
            f"run '{name}' decides between {', '.join(finished.spec.classes)}",
            expected=f"the labels of the data: {', '.join(data.classes)}",
        )
    classifier = load_classifier(finished)
    base = config.policy.base_attributes
    joint = _groups(data, base, config.policy.joint_groups)
    labels = len(data.classes)
    cell = joint.train * labels + data.train.label
    taken = draw_cells(cell, rows, lambda at: [config.seed, Stream.DIAGNOSED_ROWS, *divmod(at, labels)])
    sample = _Sample(taken, stands_for(cell, taken))
    norm = weight_norm(classifier)
    noisy = _confidently_other(classifier, data.validation, finished.spec, progress)
    parted = [
        (item, _groups(data, config.policy.attributes_of(item), config.policy.groups(item)))
        for item in config.policy.attributes
    ]
    filled = len(np.unique(np.stack([joint.train, data.train.label]), axis=1).T)
    units = filled + sum(len(np.unique(item.train)) for _, item in parted)
    measure = _measure(classifier, data.train, finished.spec, config.seed, units * (ITERATIONS + 1), progress)

    def exposures(groups: _Groups, labels: tuple[int, ...]) -> tuple[Exposure, ...]:
        found = [
            _exposure(groups, g, y, data, sample, noisy, measure, extent * norm)
            for g in range(len(groups.values))
            for y in labels
        ]
        return who_loses_first(found)

    return Diagnosis(
        run=name,
        source=data.source,
        rows=len(data.train),
        rows_per_cell=rows,
        extent=extent,
        weight_norm=norm,
        attributes=base,
        cells=exposures(joint, tuple(range(len(data.classes)))),
        groups=tuple(AttributeExposure(item, exposures(groups, (ANY,))) for item, groups in parted),
        notes=()
        if finished.settings.get("train_rows") == data.train.fingerprint
        else (f"the training rows have changed since run '{name}' was trained",),
    )


def _groups(data: DataSet, attributes: tuple[str, ...], declared: tuple[Group, ...]) -> _Groups:
    train, of_train = joint_groups(data.train.sensitive, attributes)
    validation, of_validation = joint_groups(data.validation.sensitive, attributes)
    values = tuple(dict.fromkeys([*declared, *of_train, *of_validation]))
    position = {group: index for index, group in enumerate(values)}
    places = [np.array([position[item] for item in found], dtype=np.int64) for found in (of_train, of_validation)]
    return _Groups(values, places[0][train], places[1][validation])


def _exposure(
    groups: _Groups,
    g: int,
    y: int,
    data: DataSet,
    sample: _Sample,
    noisy: NDArray[np.bool_],
    measure: Measure,
    distance: float,
) -> Exposure:
    """One group `g` with label `y`, or the whole group."""

    def members(group: Ints, label: Ints) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (group == g) & ((label == y) | (y == ANY))
        return found

    train = members(groups.train, data.train.label)
    validation = members(groups.validation, data.validation.label)
    rows, checked = int(train.sum()), int(validation.sum())
    measured = train[sample.rows]
    notes = [f"{rows or 'no'} training rows"] if rows < FEW_ROWS else []
    if checked < FEW_ROWS:
        notes.append(f"{checked or 'no'} validation rows" + (": no label noise" if checked == 0 else ""))
    item = Exposure(
        group=group_name(groups.values[g]),
        label=None if y == ANY else data.classes[y],
        rows=rows,
        share=rows / len(data.train),
        measured_rows=int(measured.sum()),
        validation_rows=checked,
        label_noise=float(noisy[validation].mean()) if checked else None,
        notes=tuple(notes),
    )
    if rows == 0:
        return item
    weight = sample.stands_for[measured]
    found = measure(sample.rows[measured], (weight / weight.sum()).astype(np.float32), item.name)
    return replace(
        item,
        loss=found.loss,
        error_rate=found.error_rate,
        margin=found.margin,
        gradient_norm=found.gradient_norm,
        top_eigenvalue=found.top_eigenvalue,
        loss_bound=found.loss_bound(distance),
        notes=item.notes if found.why_none is None else (*item.notes, found.why_none),
    )


def _measure(
    classifier: Classifier, rows: TableRows, spec: ModelSpec, seed: int, steps: int, progress: Progress
) -> Measure:
    """What measures some training rows and tells how far it is."""
    from edgefair.training.diagnose import ITERATIONS, measure_sensitivity

    progress.stage("measuring groups")
    finished = 0

    def measure(positions: Ints, weight: NDArray[np.float32], name: str) -> Sensitivity:
        nonlocal finished
        ticks = itertools.count(finished * (ITERATIONS + 1) + 1)
        found = measure_sensitivity(
            classifier,
            _batches(rows.take(positions), weight, spec),
            threshold=spec.reading.threshold,
            seed=seed,
            tick=lambda: progress.step(min(next(ticks), steps), steps, name),
        )
        finished += 1
        return found

    return measure


def _batches(rows: TableRows, weight: NDArray[np.float32], spec: ModelSpec) -> Batches:
    """The rows as tensors, made anew (pictures decoded, texts cut) in every pass, so that few are held at a time."""
    import torch

    most = rows.batch_rows(spec, BATCH_ROWS)

    def batches() -> Iterator[Batch]:
        for start, batch in zip(itertools.count(0, most), rows.inputs(spec, most), strict=False):
            part = slice(start, start + most)
            inputs = tuple(torch.from_numpy(batch[item.name]) for item in spec.inputs)
            yield inputs, torch.from_numpy(rows.label[part]), torch.from_numpy(weight[part])

    return batches


def _confidently_other(
    classifier: Classifier, rows: TableRows, spec: ModelSpec, progress: Progress
) -> NDArray[np.bool_]:
    """Which validation rows the model confidently assigns to another class, bool [rows]."""
    import torch

    from edgefair.training.diagnose import confidently_other

    if len(rows) == 0:
        return np.zeros(0, dtype=bool)
    progress.stage("validation rows")
    probability = probability_of(classifier, rows, spec)
    found: NDArray[np.bool_] = confidently_other(probability, torch.from_numpy(rows.label)).numpy()
    return found
