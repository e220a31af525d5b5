"""What the model before compression decides of the same rows: by a file of its own, or run on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.data.identity.row_ids import ROW, row_ids
from edgefair.errors import UsageError
from edgefair.files import shown
from edgefair.progress import Progress
from edgefair.report.results.verification import ModelFile
from edgefair.scratch import work_folder
from edgefair.targets import load_profile, open_target
from edgefair.workflow.measurement.brought.joined import Joined, join
from edgefair.workflow.measurement.brought.source import Brought
from edgefair.workflow.measurement.brought.table import read_decisions_file
from edgefair.workflow.measurement.consistency import HERE
from edgefair.workflow.measurement.measure import measure
from edgefair.workflow.models.convert import convert_model, names_foreign_model
from edgefair.workflow.models.infer_spec import foreign_spec

RUN_HERE = "the reference was run on this machine, and the decisions that it is compared with were not"


@dataclass(frozen=True, eq=False)
class BroughtReference:
    """The reference's decisions, int64 [rows], which file made them, and what a reader must know of that."""

    file: ModelFile
    decision: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def decisions_of(config: Config, data: DataSet, path: Path) -> Joined:
    """A file's decisions of the audit rows, in their order.

    Raises:
        DataError, MeasurementError: see `table.read_decisions_file` and `joined.join`.
    """
    rows = data.audit
    table = read_decisions_file(
        path, id_column=config.data.id or ROW, classes=data.classes, rows=len(rows), csv=config.data.csv
    )
    return join(table, rows, row_ids(rows), path, inputs=config.policy.model_inputs)


def reference_of(
    config: Config, data: DataSet, brought: Brought, model: ModelFile, progress: Progress
) -> BroughtReference | None:
    """The reference, if there is one.

    Raises:
        UsageError: it is the named model itself.
        DataError, ModelError, MeasurementError: see `decisions_of` and `workflow.measurement.measure`.
    """
    if brought.reference_decisions is not None:
        path = brought.reference_decisions
        return BroughtReference(
            ModelFile(shown(path, config.base), None, None), decisions_of(config, data, path).decision
        )
    if brought.reference is None:
        return None
    with work_folder() as folder:
        path = brought.reference
        if names_foreign_model(str(path)):
            path = convert_model(
                config, data, str(path), weights=None, to=folder / "reference.onnx", progress=progress
            ).path
        with open_target(load_profile(HERE)) as probe:
            found = measure(
                probe,
                path,
                data.audit,
                classes=data.classes,
                reference=None,
                fallback_spec=lambda loaded: foreign_spec(loaded, data, config.model),
                with_latency=False,
                progress=progress,
            )
    file = ModelFile(shown(brought.reference, config.base), found.candidate.sha256, found.candidate.bytes)
    if model.is_same(file):
        raise UsageError(
            f"the reference '{brought.reference}' is the named model itself",
            expected="the model before compression: compared with itself, a model never loses anything",
            fix="pass another file with --reference, or none",
        )
    return BroughtReference(file, found.decisions, (RUN_HERE, *found.notes))
