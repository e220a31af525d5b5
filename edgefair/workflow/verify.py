"""Measure a model on its targets, judge it, and report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefair.bundle.manifest import is_bundle, open_bundle
from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.decision.decide import check_waivers
from edgefair.errors import ModelError, UsageError
from edgefair.files import as_path, shown
from edgefair.progress import Progress, silent
from edgefair.report.results.verification import Report
from edgefair.scratch import work_folder
from edgefair.workflow.clock import today
from edgefair.workflow.exemplars.changed import RowsToShow
from edgefair.workflow.job import Job
from edgefair.workflow.measurement.devices.ahead import Ahead
from edgefair.workflow.measurement.judge import JudgedFile, judge_file
from edgefair.workflow.measurement.reference_audit import asked_for
from edgefair.workflow.measurement.sequential.looks import check_sequential
from edgefair.workflow.measurement.under_seal import check_record, check_to_show
from edgefair.workflow.models.convert import check_no_rows, convert_model, names_factory, names_foreign_model, spec_here
from edgefair.workflow.models.original import is_original
from edgefair.workflow.models.seen import Seen, notes_of
from edgefair.workflow.models.vocabulary import categories_in, load_to_judge

# An .onnx file as `export` takes it for its reference, with how it is fed in its metadata. Audits of references are
# those of such files, and so one serves every command.
AS_EXPORTED = "exported.onnx"
DECLARED = "--uncompressed: that this model was never compressed is the user's claim and was not verified"


def verify(
    config: Config,
    path: str | Path | None = None,
    *,
    weights: str | Path | None = None,
    reference: str | Path | None = None,
    uncompressed: bool = False,
    latency: bool = True,
    record: str | Path | None = None,
    sequential: bool = False,
    reference_audit: str | Path | None = None,
    reference_audit_key: str | Path | None = None,
    write_reference_audit: str | Path | None = None,
    to_show: RowsToShow | None = None,
    progress: Progress = silent,
) -> Report:
    """Judge a bundle or a model file on every target of the config.

    Args:
        path: a bundle or an .onnx file, or a model that `workflow.models.convert` converts to one; default: where
            `export` writes the project's bundle.
        weights: of the torch module that a factory makes.
        reference: the model before compression; default: the one in the bundle.
        uncompressed: whether an .onnx file never was compressed, which nobody else can know: what compares it with the
            model before compression finds no change then. A model that is converted here is known to be its own
            original.
        latency: whether to measure it.
        record: also write the raw measurements here, for `compare` and `judge_record`.
        sequential: whether to take the rows in steps, and to stop on each target where its verdict is shown.
        reference_audit: a file of `write_reference_audit` about the reference: the gap is judged by it and by what
            compression changed.
        reference_audit_key: PEM file of the public key that must have signed it.
        write_reference_audit: also write this model's counts here, as the audit of the reference of models that are
            compressed from it. An .onnx file is judged as `export` would write it.
        to_show: takes the rows whose decision compression changed; a page may show them (`Item.changed`).

    More than eight parameters: they are what the command line and Python's users say of one verdict, each with a
    default.

    Raises:
        UsageError: `uncompressed` of a model that was compressed, or beside a reference; `sequential` beside a record
            or what has no limits over several looks; `to_show` of sealed rows, or without a model before compression.
        DataError, ModelError, PolicyError: see the message; nothing was judged.
        MeasurementError: a target gave no measurement that can be believed.
    """
    check_waivers(config.policy, today())
    audits = asked_for(config, reference_audit, reference_audit_key, write_reference_audit)
    if sequential:
        check_sequential(
            config,
            recorded=record is not None,
            audited=audits.joined is not None,
            auditing=audits.write_to is not None,
        )
    started = time.perf_counter()
    path = config.bundle_path if path is None else Path(path)
    weights, reference, record = as_path(weights), as_path(reference), as_path(record)
    if record is not None:
        check_record(config)
    check_to_show(config, to_show)
    _check_files(path, reference, uncompressed)
    progress.stage("reading")
    # Where load times are measured nothing else starts meanwhile.
    models = 2 if not latency and (reference is not None or path.is_dir()) else 1
    with Ahead.of(config.targets, config.policy, probes=models) as ahead, work_folder() as folder:
        data = load_to_judge(config, frozenset() if names_foreign_model(str(path)) else categories_in(path))
        model = path
        if audits.write_to is not None and path.is_file() and not names_foreign_model(str(path)):
            model = convert_model(
                config, data, str(path), weights=weights, to=folder / AS_EXPORTED, progress=progress
            ).path
        judged = _judged(config, data, model, weights=weights, uncompressed=uncompressed, to=folder, progress=progress)
        own = judged.own_reference and reference is None
        before, before_as = judged.compressed_from, None
        if reference is not None:
            before, before_as = reference, Path(shown(reference, config.base))
            foreign = names_foreign_model(str(reference))
            if foreign or audits.joined is not None:
                given = weights if foreign and not names_factory(str(path)) else None
                to = folder / "reference.onnx"
                before = convert_model(config, data, str(reference), weights=given, to=to, progress=progress).path
        file = JudgedFile(
            judged.model,
            shown_as=Path(shown(path, config.base)),
            reference=before,
            reference_as=before_as,
            own_reference=own,
            settings=judged.settings,
            notes=(*notes_of(config, data, judged.seen), *((DECLARED,) if uncompressed else ())),
            audits=audits,
        )
        if to_show is not None and before is None:
            raise _nothing_changed(path, own=own)
        reading_s = time.perf_counter() - started
        job = Job(config, data, progress, to_show)
        return judge_file(
            job,
            file,
            command="verify",
            latency=latency,
            record=record,
            reading_s=reading_s,
            sequential=sequential,
            ahead=ahead,
        )


def _nothing_changed(path: Path, *, own: bool) -> UsageError:
    why = "it was not compressed" if own else "no model before compression is known"
    return UsageError(
        f"--show-rows shows the rows that compression decides otherwise, and of '{path}' there are none: {why}",
        fix="omit it" if own else "pass the model before compression with --reference",
    )


@dataclass(frozen=True)
class _Judged:
    """A model file, and what is known of how it came to be."""

    model: Path
    seen: Seen
    settings: dict[str, Any]
    compressed_from: Path | None
    own_reference: bool


def _check_files(path: Path, reference: Path | None, uncompressed: bool) -> None:
    """Refuse what is not a model, before the data is read (UsageError, ModelError)."""
    if uncompressed and reference is not None:
        raise UsageError(
            "--uncompressed and --reference are both given",
            expected="one of them: an uncompressed model has no other reference",
        )
    if path.is_dir() and not is_bundle(path):
        raise ModelError(
            f"'{path}' is a folder but not a bundle", expected="a bundle made by `edgefair export`, or an .onnx file"
        )
    check_no_rows(path)
    if not path.exists() and not names_foreign_model(str(path)):
        raise ModelError(f"no bundle or model file '{path}'", fix="run `edgefair export --int8` first, or pass a file")


def _judged(
    config: Config, data: DataSet, path: Path, *, weights: Path | None, uncompressed: bool, to: Path, progress: Progress
) -> _Judged:
    """The file to judge: of a bundle, as it is, or converted into the folder `to`.

    Raises:
        UsageError: it is declared uncompressed, but was compressed.
        DataError, ModelError: it cannot be opened or converted, or does not fit the data.
    """
    if path.is_dir():
        bundle = open_bundle(path)
        if uncompressed and not bundle.uncompressed:
            raise UsageError(
                f"'{path}' was compressed, as its manifest says",
                fix="omit --uncompressed: the bundle has its own reference",
            )
        own = bundle.uncompressed and is_original(bundle.model, claimed=uncompressed)
        seen = Seen.by_bundle(bundle, data)
        return _Judged(bundle.model, seen, bundle.manifest.settings, bundle.compressed_from, own)
    if names_foreign_model(str(path)):
        onnx_file = to / "model.onnx"
        converted = convert_model(config, data, str(path), weights=weights, to=onnx_file, progress=progress)
        own = is_original(converted.path, claimed=uncompressed)
        return _Judged(converted.path, Seen.by_config(data, converted.spec), converted.settings, None, own)
    seen = Seen.by_config(data, spec_here(config, data, path))
    return _Judged(path, seen, {}, None, uncompressed and is_original(path, claimed=True))
