"""Which training labels look wrong, group by group."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.data.groups import joint_groups
from edgefair.data.identity.row_ids import ROW, row_ids
from edgefair.errors import UsageError, missing_extra
from edgefair.files import write_atomic
from edgefair.joint import group_name
from edgefair.progress import Progress, silent
from edgefair.report.results.cleaning import Cleaning, SuspiciousCell, SuspiciousRow
from edgefair.workflow.job import Job
from edgefair.workflow.sealing.seal import check_not_sealed
from edgefair.workflow.training.predictions import out_of_fold


def clean(config: Config, *, folds: int = 3, progress: Progress = silent) -> Cleaning:
    """Find suspicious labels of training rows by group-wise confident learning.

    The network is trained on all folds but one and asked about the one, `folds` times. A label is suspicious where the
    model is confident of another one by the thresholds of the row's own group: with those of all rows a group whose
    probabilities are lower on the whole would look clean, or wrong (Northcutt, Jiang & Chuang, JAIR 2021; by group:
    Zhang et al., DeCoLe).

    Raises:
        UsageError: fewer than two folds, or no PyTorch.
        DataError: rows that cannot be trained on or named, or too few for so many folds.
    """
    if folds < 2:
        raise UsageError(f"{folds} folds", expected="at least 2: a model knows the rows that it was trained on")
    try:
        import torch

        from edgefair.training.diagnose import confident_class
    except ImportError as error:
        raise missing_extra("data clean", "torch", error) from error
    progress.stage("reading")
    data = load(config.data, base=config.base, roles=("train", "validation"))
    check_not_sealed(config, data)
    ids = row_ids(data.train).text()
    attributes = config.policy.base_attributes
    group, groups = joint_groups(data.train.sensitive, attributes)
    probability = out_of_fold(Job(config, data, progress), folds)
    label = torch.from_numpy(data.train.label)
    likely = confident_class(probability, label, torch.from_numpy(group)).numpy()
    suspicious = (likely >= 0) & (likely != data.train.label)
    chance = probability[torch.arange(len(label)), label].numpy()
    order = np.flatnonzero(suspicious)
    order = order[np.argsort(chance[order], kind="stable")]
    names = tuple(map(group_name, groups))
    return Cleaning(
        source=data.source,
        rows=len(data.train),
        folds=folds,
        attributes=attributes,
        id_column=config.data.id or ROW,
        cells=_cells(data, group, names, suspicious),
        suspicious=tuple(
            SuspiciousRow(
                ids[at] or "", data.classes[data.train.label[at]], data.classes[likely[at]], round(float(chance[at]), 6)
            )
            for at in order.tolist()
        ),
    )


def _cells(
    data: DataSet, group: np.ndarray, names: tuple[str, ...], suspicious: np.ndarray
) -> tuple[SuspiciousCell, ...]:
    labels = len(data.classes)
    cell = group * labels + data.train.label
    rows = np.bincount(cell, minlength=len(names) * labels)
    found = np.bincount(cell[suspicious], minlength=len(rows))
    cells = [
        SuspiciousCell(names[at // labels], data.classes[at % labels], int(rows[at]), int(found[at]))
        for at in np.flatnonzero(rows).tolist()
    ]
    return tuple(sorted(cells, key=lambda item: -item.share))


def write_rows(report: Cleaning, path: Path) -> None:
    """The suspicious rows as CSV (id, label, likely label, probability of the label): for its owner alone.

    Raises:
        UsageError: the file cannot be written.
    """
    import pyarrow
    import pyarrow.csv

    columns = {
        report.id_column: [item.row for item in report.suspicious],
        "label": [item.label for item in report.suspicious],
        "likely_label": [item.likely for item in report.suspicious],
        "probability_of_label": [item.probability for item in report.suspicious],
    }
    types = (pyarrow.string(), pyarrow.string(), pyarrow.string(), pyarrow.float64())
    table = pyarrow.table({name: pyarrow.array(v, t) for (name, v), t in zip(columns.items(), types, strict=True)})
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(table, buffer)
    try:
        write_atomic(path, buffer.getvalue(), private=True)
    except OSError as error:
        raise UsageError(f"cannot write '{path}': {error.strerror}") from error
