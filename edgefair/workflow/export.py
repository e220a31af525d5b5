"""Compress a trained model, measure the exact file, and ship it only if every gate passes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgefair._version import __version__
from edgefair.bundle.canaries.asking import Questions
from edgefair.bundle.manifest import REPORT, SEEN_ROWS, SPEC, FileEntry, Manifest, model_name, reference_of
from edgefair.bundle.signing import load_signing_key, sign_bundle
from edgefair.bundle.staging import publish, staging
from edgefair.compress.config import Int8
from edgefair.config import Config, with_compress
from edgefair.data.dataset import DataSet
from edgefair.data.identity.seen import seen_bytes
from edgefair.data.texts import TOKENIZER, Texts
from edgefair.errors import UsageError
from edgefair.files import as_path, sha256_file, shown, shown_in, write_atomic
from edgefair.probe.bundles.attestation import MANIFEST
from edgefair.probe.bundles.canaries import CANARIES
from edgefair.probe.bundles.files import MOST_MANIFEST
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.probe.regular import read_regular
from edgefair.progress import Progress, silent, timed
from edgefair.report.formats.json import json_text
from edgefair.report.results.verification import Report
from edgefair.scratch import work_folder
from edgefair.versions import versions_of
from edgefair.workflow.auto.notes import notes_of_search
from edgefair.workflow.compression.calibration import idle_calibration
from edgefair.workflow.compression.candidates import Candidates
from edgefair.workflow.compression.repair import chosen
from edgefair.workflow.exemplars.changed import RowsToShow
from edgefair.workflow.job import Job
from edgefair.workflow.kept_targets import KeptTargets
from edgefair.workflow.measurement.fleet import load_fleet
from edgefair.workflow.measurement.judge import JudgedFile, judge_file
from edgefair.workflow.measurement.reference_audit import asked_for
from edgefair.workflow.measurement.under_seal import check_to_show
from edgefair.workflow.models.as_it_is import is_for_a_runtime, with_spec
from edgefair.workflow.models.convert import convert_model
from edgefair.workflow.models.original import is_original
from edgefair.workflow.models.reference import Reference
from edgefair.workflow.models.runs import choose_run
from edgefair.workflow.models.seen import Seen, notes_of
from edgefair.workflow.models.supported import check_supported
from edgefair.workflow.models.trained import trained_model
from edgefair.workflow.models.vocabulary import categories_in, categories_of_run, load_to_judge
from edgefair.workflow.preflight import check_plan, preflight

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

UNCHANGED = "nothing was compressed: the exported file is the model before compression, byte for byte"


def export(
    config: Config,
    *,
    run: str | None = None,
    model: str | Path | None = None,
    weights: str | Path | None = None,
    int8: Int8 | None = None,
    output: str | Path | None = None,
    sign: str | Path | None = None,
    counter: int | None = None,
    latency: bool = True,
    sequential: bool = False,
    reference_audit: str | Path | None = None,
    reference_audit_key: str | Path | None = None,
    to_show: RowsToShow | None = None,
    progress: Progress = silent,
) -> Report:
    """Export a run or a model, compress it, judge the file on every target, and write the bundle if the policy agrees.

    Steps, as `compress:` and `debias:` say: torch steps with their fine-tunes, INT8 or FP16, treatments of the
    compressed file. If a gate fails on validation rows, the repair searches for a compression that passes every gate.
    The audit rows are seen once, at the end.

    A blocked export leaves whatever was at the destination as it was, and `OUTPUT.blocked.json` with the report. A
    bundle appears whole or not at all, whenever the process is killed.

    Args:
        run: name of a finished training run; default: the only one.
        model: instead of a run, an existing model: see `workflow.models.kinds.KINDS`.
        weights: of the torch module that the factory `model` makes.
        int8: instead of `compress.int8`: `static`, `dynamic`, `a16w8`, `w4`, or `auto` (dynamic for texts
            where TensorRT is not a target, else static).
        output: the bundle's folder; default: the project's.
        sign: PEM file of the private key that signs what ships.
        sequential: whether to take the audit rows in steps, and to stop on each target where its verdict is shown.
        reference_audit, reference_audit_key: as in `verify`; the reference is the model before compression.
        to_show: as in `verify`; takes nothing where nothing was compressed.
        counter: number of this release, which a device can demand to be no less than one that it has seen.

    More than eight parameters: they are what the command line and Python's users say of one release, each with a
    default.

    Raises:
        UsageError: the destination cannot be written; a key that cannot sign; unknown recipe, target or method; steps
            that contradict.
        DataError, ModelError, PolicyError, MeasurementError: nothing was judged and nothing written.
    """
    model, weights, sign = None if model is None else str(model), as_path(weights), as_path(sign)
    if int8 is not None:
        config = with_compress(config, int8=int8)
    name = None if model is not None else choose_run(config, run)
    audits = asked_for(config, reference_audit, reference_audit_key)
    check_to_show(config, to_show)
    signer = None if sign is None else load_signing_key(sign)
    check_plan(config, model, name, sequential=sequential, audited=reference_audit is not None)
    output = config.bundle_path if output is None else Path(output)
    destination, shown_as = output.absolute(), Path(shown(output, config.base))
    blocked = _blocked(destination)
    with staging(destination) as folder, work_folder() as work, KeptTargets() as targets:
        started = time.perf_counter()
        progress.stage("reading")
        data = load_to_judge(
            config, categories_in(Path(str(model))) if name is None else categories_of_run(config, name)
        )
        job = Job(config, data, progress, to_show, targets)
        preflight(job)
        reading_s = time.perf_counter() - started
        reference = _reference(job, name, model, weights=weights, folder=folder)
        kept = reference.path.name
        check_supported(load_fleet(config.targets), {reference.path: Path(model or f"run {name}")})
        audits.check_reference(sha256_file(reference.path), data.classes)
        seen = Seen.by_run(config, data, reference.spec, name)
        notes = (*notes_of_search(config, name), *notes_of(config, data, seen))
        candidates = Candidates(job, reference, name, work)
        notes += idle_calibration(config, candidates.kind)
        spec, settings, candidate = reference.spec, reference.settings, reference.path
        if candidates.changes:
            choice, searched, said = chosen(candidates, work)
            made = candidates.make(choice, folder / kept)
            spec, candidate = made.spec, made.path
            settings, notes = settings | made.settings | searched, (*notes, *made.notes, *said)
        changed = candidates.changes and sha256_file(candidate) != sha256_file(reference.path)
        file = JudgedFile(
            candidate,
            shown_as=shown_as,
            reference=reference.path if changed else None,
            reference_as=shown_as / reference_of(kept),
            own_reference=not changed and is_original(reference.path),
            settings=shown_in(settings, config.base),
            notes=notes if changed or not candidates.changes else (*notes, UNCHANGED),
            audits=audits,
            canaries=Questions(candidate.read_bytes(), spec),
        )
        report = judge_file(job, file, command="export", latency=latency, reading_s=reading_s, sequential=sequential)
        text = json_text(report).encode()
        if report.exit_code != 0:
            write_atomic(blocked, text)
            return report
        if not changed:
            (folder / kept).write_bytes(reference.path.read_bytes())
        progress.stage("writing")
        with timed("writing the bundle"):
            (folder / REPORT).write_bytes(text)
            _add_descriptions(data, spec, seen, folder)
            _add_canaries(file, report, folder)
            _add_manifest(folder, config, report, counter)
        _publish(folder, destination, signer, progress)
    blocked.unlink(missing_ok=True)
    progress.stage("published")
    return report


def _publish(folder: Path, destination: Path, signer: CryptoSigner | None, progress: Progress) -> None:
    """Sign what lies in the folder, where there is a key, and let it be seen."""
    if signer is not None:
        with timed("signing"):
            sign_bundle(folder, signer)
    progress.stage("publishing")
    with timed("publishing"):
        publish(folder, destination)


def _reference(job: Job, run: str | None, model: str | None, *, weights: Path | None, folder: Path) -> Reference:
    """The model before compression, of a run or of an existing model, at its place in the bundle's folder."""
    path = Path(str(model))
    if run is None and is_for_a_runtime(path):
        _check_kept(job.config, path)
        return with_spec(job.config, job.data, path, to=folder / reference_of(model_name(path)))
    to = folder / reference_of("model.onnx")
    if run is not None:
        return trained_model(job.config, run, to, job.progress)
    return convert_model(job.config, job.data, str(model), weights=weights, to=to, progress=job.progress)


def _check_kept(config: Config, path: Path) -> None:
    """Refuse to compress what was made for a runtime (UsageError)."""
    compress = config.compress
    if compress.trains or compress.fp16 or compress.int8 is not None or config.debias.post:
        raise UsageError(
            f"'{path}' was made for a runtime, and compress or debias.post would change it",
            expected="a bundle of the file as it is",
            fix="omit --int8, --fp16 and what edgefair.yaml says of them, or export the ONNX model it was made from",
        )


def report_file(destination: Path, report: Report) -> Path:
    """Where `export` has put its report: in the bundle, or beside where it would be."""
    return destination / REPORT if report.exit_code == 0 else _blocked(destination)


def older_bundle(destination: Path) -> Manifest | None:
    """What a blocked export has left where its bundle would be; None where that is no bundle, or nothing."""
    try:
        return Manifest.from_json(read_regular(destination / MANIFEST, most=MOST_MANIFEST, follow=False))
    except (OSError, ValueError):
        return None


def _blocked(destination: Path) -> Path:
    return destination.with_name(f"{destination.name}.blocked.json")


def _add_descriptions(data: DataSet, spec: ModelSpec, seen: Seen, folder: Path) -> None:
    """What the model takes and what it has seen; a device that gets texts needs what cuts them."""
    (folder / SPEC).write_bytes(spec.to_json().encode())
    (folder / SEEN_ROWS).write_bytes(seen_bytes(seen.parts))
    for name in data.features:
        column = data.train.table.columns[name]
        if isinstance(column, Texts):
            (folder / TOKENIZER).write_bytes(column.tokenizer.path.read_bytes())


def _add_canaries(file: JudgedFile, report: Report, folder: Path) -> None:
    """What every target answered to rows of nobody, by which a device is known again."""
    rows = None if file.canaries is None else file.canaries.to_bytes([item.target for item in report.targets])
    if rows is not None:
        (folder / CANARIES).write_bytes(rows)


def _add_manifest(folder: Path, config: Config, report: Report, counter: int | None) -> None:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    versions = versions_of(("numpy", "onnx", "onnxruntime", "torch"))
    manifest = Manifest(
        files={
            path.relative_to(folder).as_posix(): FileEntry(sha256_file(path), path.stat().st_size) for path in paths
        },
        outcome=str(report.outcome),
        targets=tuple(
            {
                "name": item.target,
                "machine": item.device.get("machine"),
                "cpu": item.device.get("cpu"),
                **{key: item.device[key] for key in ("session", "engine", "container") if item.device.get(key)},
            }
            for item in report.targets
        ),
        made_with={"edgefair": __version__, **versions},
        settings=report.settings,
        project=config.project,
        created=report.created,
        counter=counter,
    )
    (folder / MANIFEST).write_bytes(manifest.to_json().encode())
