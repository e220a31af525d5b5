"""The audit rows as a device takes them that edgefair cannot reach: ids and inputs, never labels or groups."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.bundle.manifest import is_bundle, open_bundle
from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.data.identity.row_ids import ROW, row_ids
from edgefair.data.identity.seen import columns_of
from edgefair.data.rows import TableRows
from edgefair.errors import DataError, UsageError, did_you_mean
from edgefair.files import write_atomic
from edgefair.probe.inputs.prepare import prepare
from edgefair.probe.onnx_files.spec import TEXT, ModelSpec
from edgefair.progress import Progress, silent
from edgefair.report.places import check_folders
from edgefair.scratch import work_folder
from edgefair.workflow.measurement.brought.table import AUDIT
from edgefair.workflow.models.convert import check_no_rows, convert_model, names_foreign_model, spec_here
from edgefair.workflow.models.seen import bundle_spec
from edgefair.workflow.models.vocabulary import categories_in, load_to_judge

BATCH_ROWS = 4096
SPEC = "edgefair_spec"

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ExportedInputs:
    """A file of inputs.

    Attributes:
        id_column: the name of the ids in it, which the decisions must carry back.
        audit: digest of the audit set, which they may carry back.
    """

    path: Path
    rows: int
    id_column: str
    audit: str


def export_inputs(
    config: Config, output: str | Path, model: str | Path | None = None, *, progress: Progress = silent
) -> ExportedInputs:
    """Write the ids and the model's inputs of all audit rows.

    `.npz` holds an array under the name of every input of the graph; pictures are uint8 [rows, height, width, channels]
    of the model's size, before they are scaled. `.parquet` and `.csv` hold a column for every column of a tabular
    input, as the graph takes it: categories are codes, or texts where it takes texts.

    Args:
        model: a bundle, or a model as `verify` takes it; default: the project's bundle.

    Raises:
        UsageError: a file of another kind, or that cannot be written.
        DataError: the model takes a sensitive attribute; rows without ids that cannot be named.
        ModelError: nothing says how the model is fed.
    """
    output, path = Path(output), config.bundle_path if model is None else Path(model)
    write = WRITERS.get(output.suffix.lower())
    if write is None:
        raise UsageError(
            f"'{output}' has an unsupported format{did_you_mean(output.suffix, WRITERS)}",
            expected=f"a file that ends in {', '.join(WRITERS)}",
        )
    check_folders(output)
    check_no_rows(path)
    progress.stage("reading")
    data = load_to_judge(config, frozenset() if names_foreign_model(str(path)) else categories_in(path))
    spec, rows, id_column = _spec(config, data, path, progress), data.audit, config.data.id or ROW
    _check_inputs(config, spec, id_column)
    ids = np.array(row_ids(rows).text())
    progress.stage("writing")
    try:
        write_atomic(output, write({id_column: ids}, rows, spec), private=True)
    except OSError as error:
        raise UsageError(f"the inputs cannot be written to '{output}': {error.strerror}") from error
    return ExportedInputs(output, len(rows), id_column, rows.fingerprint)


def _spec(config: Config, data: DataSet, path: Path, progress: Progress) -> ModelSpec:
    if is_bundle(path):
        return bundle_spec(open_bundle(path))
    if not names_foreign_model(str(path)):
        return spec_here(config, data, path)
    with work_folder() as folder:
        return convert_model(config, data, str(path), weights=None, to=folder / "model.onnx", progress=progress).spec


def _check_inputs(config: Config, spec: ModelSpec, id_column: str) -> None:
    """Refuse a model that takes what must not leave the machine, and an input that has the name of the ids."""
    seen = [name for name in columns_of(spec) if name in config.data.sensitive]
    if seen:
        raise DataError(
            f"the model takes '{seen[0]}', which is sensitive, and sensitive attributes are never exported",
            expected="a model of other features",
            fix="measure it on a target that edgefair reaches (ssh, container, qemu)",
        )
    if id_column in {item.name for item in spec.inputs}:
        raise DataError(f"the model has an input '{id_column}', as the ids are called", fix="declare data.id")


def _inputs(rows: TableRows, spec: ModelSpec) -> Arrays:
    """Input -> its array of all rows, as the graph takes it; pictures as uint8, before they are scaled."""
    size = rows.batch_rows(spec, BATCH_ROWS)
    parts = list(rows.inputs(spec, size))
    found = {item.name: np.concatenate([part[item.name] for part in parts]) for item in spec.inputs}
    texts = [item for item in spec.inputs if item.dtype == TEXT]
    ready = prepare({item.name: found[item.name] for item in texts}, texts)
    return {**found, **{name: array.astype(str) for name, array in ready.items()}}


def _npz(ids: Arrays, rows: TableRows, spec: ModelSpec) -> bytes:
    buffer = io.BytesIO()
    said = {SPEC: np.array(spec.to_json()), AUDIT: np.array(rows.fingerprint)}
    np.savez(buffer, **ids, **_inputs(rows, spec), **said)  # type: ignore[arg-type]
    return buffer.getvalue()


def _columns(ids: Arrays, rows: TableRows, spec: ModelSpec) -> Any:
    """An Arrow table of the ids and every column of the inputs."""
    import pyarrow

    for item in spec.inputs:
        if not item.columns:
            raise DataError(
                f"the model's input '{item.name}' is no table, and a cell holds one value",
                expected="an .npz file for pictures, texts and arrays",
                fix="name an .npz file",
            )
    arrays = _inputs(rows, spec)
    names = [column.name for item in spec.inputs for column in item.columns]
    twice = sorted({name for name in names if names.count(name) > 1} | (set(names) & set(ids)))
    if twice:
        raise DataError(f"the model takes '{twice[0]}' twice, or as an id", fix="name an .npz file")
    columns: dict[str, Any] = dict(ids)
    for item in spec.inputs:
        columns |= {column.name: arrays[item.name][:, at] for at, column in enumerate(item.columns)}
    return pyarrow.table(columns).replace_schema_metadata({AUDIT: rows.fingerprint, SPEC: spec.to_json()})


def _parquet(ids: Arrays, rows: TableRows, spec: ModelSpec) -> bytes:
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(_columns(ids, rows, spec), buffer)
    return buffer.getvalue()


def _csv(ids: Arrays, rows: TableRows, spec: ModelSpec) -> bytes:
    import pyarrow.csv

    buffer = io.BytesIO()
    pyarrow.csv.write_csv(_columns(ids, rows, spec), buffer)
    return buffer.getvalue()


WRITERS: Mapping[str, Callable[[Arrays, TableRows, ModelSpec], bytes]] = {
    ".npz": _npz,
    ".parquet": _parquet,
    ".csv": _csv,
}
