"""Which audit rows to label: those whose labels tell most about the gaps."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from edgefair.bundle.manifest import is_bundle, open_bundle
from edgefair.config import Config
from edgefair.data.config import DataConfig
from edgefair.data.dataset import DataSet, load
from edgefair.data.label_design import LabelDesign, id_hashes
from edgefair.data.rows import TableRows
from edgefair.decision.cells import declared_table
from edgefair.errors import DataError, ModelError, UsageError
from edgefair.files import as_path, shown, write_atomic
from edgefair.joint import group_name
from edgefair.measure.counts import GroupCounts
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.progress import Progress, silent
from edgefair.report.escape import csv_cell
from edgefair.report.results.label_plan import LabelPlan, PlannedStratum
from edgefair.targets import load_profile, open_target
from edgefair.workflow.measurement.consistency import HERE, outputs_of, unreadable
from edgefair.workflow.models.convert import check_no_rows
from edgefair.workflow.models.infer_spec import foreign_spec
from edgefair.workflow.models.spec import spec_of
from edgefair.workflow.models.vocabulary import categories_in
from edgefair.workflow.planning.label_choice import Scored, choose

BATCH_ROWS = 4096


def plan_labels(
    config: Config, budget: int, *, model: str | Path | None = None, out: str | Path, progress: Progress = silent
) -> LabelPlan:
    """Choose audit rows to label, and write their ids and the label design.

    Args:
        budget: rows to label.
        model: the .onnx file or bundle that scores the rows, on this machine; default: the project's bundle. Any model
            gives a valid design, one that decides nearly as the judged one does a better one.
        out: CSV file for the ids of the chosen rows; the design is written beside it, as `OUT.design.json`.

    Raises:
        DataError: rows without ids, of subjects, or with labels; a budget that is too small or too large.
        PolicyError: a group that the policy does not declare.
        ModelError, MeasurementError: the model cannot score the rows.
        UsageError: a file cannot be written, or another design is there already.
    """
    path, out = config.bundle_path if model is None else Path(model), as_path(out)
    design_path = out.with_suffix(".design.json")
    _check_model(path)
    progress.stage("reading")
    data = load(config.data, base=config.base, roles=["audit"], categories=categories_in(path), unlabelled="planned")
    rows = data.audit
    _check_rows(config, rows)
    scored = _score(config, data, open_bundle(path).model if is_bundle(path) else path, progress)
    progress.stage("choosing")
    chosen = choose(config.policy, rows, data.classes, scored, budget)
    design = LabelDesign.of(
        rows,
        label=config.data.label,
        seed=config.seed,
        model=scored.sha256,
        attributes=config.policy.base_attributes,
        strata=chosen.strata,
        stratum=chosen.stratum,
    )
    _write(design, design_path, rows, out, config.data)
    return LabelPlan(
        source=shown(data.source, config.base),
        rows=len(rows),
        chosen=design.budget,
        model=shown(path, config.base),
        to_label=shown(out, config.base),
        design=shown(design_path, config.base),
        strata=tuple(
            PlannedStratum(group_name(tuple(item.group)), item.decision, item.scores, item.rows, item.chosen)
            for item in design.strata
        ),
        lacking=chosen.lacking,
    )


def _check_model(path: Path) -> None:
    check_no_rows(path)
    if not path.exists() or (path.is_dir() and not is_bundle(path)):
        raise ModelError(
            f"no bundle or .onnx file '{path}' to score the rows with",
            expected="a model that scores all audit rows: the reference, or the candidate",
            fix="name one with --model",
        )


def _check_rows(config: Config, rows: TableRows) -> None:
    """Refuse rows that no design can be made for (DataError, PolicyError)."""
    id_hashes(rows)
    if rows.subject is not None:
        raise DataError(
            "the audit rows belong to subjects, and a label design takes rows as independent people",
            fix="keep one row of every person, and omit data.subject",
        )
    if config.data.equal_rows == "once":
        raise DataError(
            "with data.equal_rows: once labels decide which audit rows are copies",
            fix="remove the copies from the file",
        )
    labelled = int((rows.label >= 0).sum())
    if labelled:
        raise DataError(
            f"{labelled:,} of {len(rows):,} audit rows have a label already",
            expected="audit rows that nobody has labelled: rows that somebody picked would bias every rate",
            fix="empty their labels (keep them elsewhere), or judge by the labelled rows alone if they are a random "
            "sample",
        )
    first = np.zeros(len(rows), dtype=np.int64)
    attributes = {name: rows.sensitive[name] for name in config.policy.base_attributes}
    counts = GroupCounts.from_rows(attributes, label=first, decision=first, classes=("0", "1"))
    for name in config.policy.attributes:
        declared_table(counts, config.policy, name)


def _score(config: Config, data: DataSet, path: Path, progress: Progress) -> Scored:
    """Run the model over the audit rows, on this machine."""
    rows, decisions, scores = data.audit, [], []
    with open_target(load_profile(HERE)) as probe:
        model = probe.load(path, name="candidate")
        spec = spec_of(model, lambda loaded: foreign_spec(loaded, data, config.model), data.classes)
        progress.stage(f"scoring {len(rows):,} rows")
        size = rows.batch_rows(spec, BATCH_ROWS)
        done = 0
        for batch in probe.run(model, rows.inputs(spec, size), outputs_of(spec), inputs=spec.inputs):
            try:
                decision, score = read_decisions(batch, spec.reading, len(spec.classes))
            except ValueError as error:
                sent = next(rows.take(np.arange(done, min(done + size, len(rows)))).inputs(spec, size))
                raise unreadable(probe, model, spec, sent, error) from error
            decisions.append(decision)
            scores.append(score)
            done += len(decision)
            progress.step(done, len(rows), "scoring")
    known = [score.astype(np.float64) for score in scores if score is not None]
    return Scored(model.sha256, np.concatenate(decisions), np.concatenate(known) if known else None)


def _write(design: LabelDesign, path: Path, rows: TableRows, out: Path, config: DataConfig) -> None:
    """Both files; nothing where a design for other labels is there already.

    Raises:
        UsageError: it is, or a file cannot be written.
    """
    content = (design.model_dump_json(by_alias=True) + "\n").encode()
    chosen = np.flatnonzero(design.chosen_among(rows, design.stratum_of(rows, config.label)))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(map(csv_cell, (str(config.id), "stratum", config.label)))
    stratum = design.stratum_of(rows, config.label)
    for row, item in zip(chosen.tolist(), rows.ids.take(chosen).text() if rows.ids else (), strict=True):
        writer.writerow([csv_cell(str(item)), int(stratum[row]), ""])
    try:
        if path.exists() and path.read_bytes() != content:
            raise UsageError(
                f"'{path}' holds another label design, by which rows may be labelled already",
                fix="choose another --out, or remove it",
            )
        write_atomic(path, content)
        write_atomic(out, text.getvalue().encode(errors="backslashreplace"), private=True)
    except OSError as error:
        raise UsageError(f"'{error.filename or out}' cannot be written: {error.strerror}") from error
