"""Measure a model on its targets, judge it, and report."""

from __future__ import annotations

import datetime
import tempfile
import time
from pathlib import Path
from typing import Any

import edgefair
from edgefair.bundle.manifest import is_bundle, open_bundle
from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.data.overlap import check_overlap
from edgefair.decision.decide import check_waivers, decide
from edgefair.decision.policy import JOIN
from edgefair.decision.verdict import Verdict, worst
from edgefair.errors import ModelError
from edgefair.measure.bootstrap import gap_bootstrap
from edgefair.measure.flips import cell_flips
from edgefair.report.model import AuditRows, ModelFile, Report, TargetResult
from edgefair.targets import LoadedModel, load_profile, open_target
from edgefair.workflow.intake import foreign_spec
from edgefair.workflow.ledger import LEDGER, spend
from edgefair.workflow.measure import Measurement, measure
from edgefair.workflow.models import dense_model, names_foreign_model
from edgefair.workflow.progress import Progress, silent
from edgefair.workflow.record import record_of, save_record

# Of the reference's speed: below it a report says that compression made the model slower.
SLOWER = 0.97
SECONDS_PER_PAIR = 4e-6


def verify(
    config: Config,
    path: Path | None = None,
    *,
    weights: Path | None = None,
    reference: Path | None = None,
    latency: bool = True,
    record: Path | None = None,
    progress: Progress = silent,
) -> Report:
    """Judge a bundle or a model file on every target of the config.

    Args:
        path: a bundle or an .onnx file, or a model that `workflow.models` converts to one; default: where `export`
            writes the project's bundle.
        weights: of the torch module that a factory makes.
        reference: the model before compression; default: the one in the bundle.
        latency: whether to measure it.
        record: also write the decisions here, for `compare`; with several targets those of the last one.

    Raises:
        DataError, ModelError, PolicyError: see the message; nothing was judged.
        MeasurementError: a target gave no measurement that can be believed.
    """
    check_waivers(config.policy, today())
    started = time.perf_counter()
    path = config.bundle_path if path is None else path
    settings: dict[str, Any] = {}
    if path.is_dir():
        if not is_bundle(path):
            raise ModelError(
                f"'{path}' is a folder and no bundle", expected="a bundle of `edgefair export`, or an .onnx file"
            )
        bundle = open_bundle(path)
        settings = bundle.manifest.settings
        reference = bundle.reference if reference is None else reference
        model = bundle.model
    else:
        model = path
        if not path.exists() and not names_foreign_model(str(path)):
            raise ModelError(
                f"no bundle and no model file '{path}'", fix="run `edgefair export --int8` first, or name a file"
            )
    progress(0, 0, "reading")
    data = load(config.data, base=config.base, roles=("train", "validation", "audit"))
    with tempfile.TemporaryDirectory(prefix="edgefair-") as folder:
        if names_foreign_model(str(path)):
            to = Path(folder) / "model.onnx"
            dense = dense_model(config, data, str(path), weights=weights, to=to, progress=progress)
            model, settings = dense.path, dense.settings
        return judge_file(
            config,
            data,
            model,
            command="verify",
            shown_as=path,
            reference=reference,
            latency=latency,
            record=record,
            settings=settings,
            notes=notes_of(data),
            reading_s=time.perf_counter() - started,
            progress=progress,
        )


def notes_of(data: DataSet) -> tuple[str, ...]:
    """What a reader of the verdict must know of the rows.

    Raises:
        DataError: audit rows that the model has seen.
    """
    shared = check_overlap([data.train, data.validation], data.audit).note
    return (*([] if shared is None else [shared]), *(f"left out: {item}" for item in data.skipped))


def judge_file(
    config: Config,
    data: DataSet,
    model: Path,
    *,
    command: str,
    shown_as: Path,
    reference: Path | None,
    latency: bool,
    record: Path | None = None,
    settings: dict[str, Any],
    notes: tuple[str, ...],
    reading_s: float,
    progress: Progress,
) -> Report:
    """Measure and judge a model file on every target, with data that is read already.

    Args:
        shown_as: the path that a reader of the report knows the model by.
        reading_s: seconds that reading the data took.
    """
    results = []
    files: tuple[ModelFile, ModelFile | None] | None = None
    for name in config.targets:
        progress(0, 0, f"starting {name}")
        started = time.perf_counter()
        with open_target(load_profile(name)) as probe:
            ready = time.perf_counter()
            measured = measure(
                probe,
                model,
                data.audit,
                config.policy,
                reference=reference,
                fallback_spec=lambda loaded: foreign_spec(loaded, data, config.model),
                with_latency=latency,
                seed=config.seed,
                progress=progress,
            )
            device = probe.device
        judging = time.perf_counter()
        progress(0, 0, _judging(config))
        verdict = decide(measured.evidence, config.policy, today=today())
        timings = {
            "reading": reading_s,
            "starting": ready - started,
            **measured.timings_s,
            "verdict": time.perf_counter() - judging,
        }
        results.append(_result(name, device, measured, verdict, timings, config))
        if record is not None:
            made = record_of(str(shown_as), data.audit, measured.decisions, measured.candidate.sha256, data.classes)
            save_record(record, made)
        base = measured.reference
        files = (_file(measured.candidate, shown_as), None if base is None else _file(base, base.path))
        notes = tuple(dict.fromkeys([*notes, *measured.notes, *_speed_note(name, measured)]))
    if files is None:
        raise ModelError("no target was measured")
    outcome = worst(item.verdict.outcome for item in results)
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    ledger = spend(
        config.base,
        audit=data.audit.fingerprint,
        model=files[0].sha256,
        outcome=str(outcome),
        created=created,
        command=command,
    )
    return Report(
        command=command,
        version=edgefair.__version__,
        created=created,
        model=files[0],
        reference=files[1],
        audit=AuditRows(source=data.source, rows=len(data.audit), fingerprint=data.audit.fingerprint),
        policy=config.policy.model_dump(mode="json"),
        targets=tuple(results),
        settings=settings,
        ledger=ledger,
        notes=(*notes, *([] if ledger else [f"the ledger beside the config ('{LEDGER}') could not be written"])),
    )


def _judging(config: Config) -> str:
    """What judging will take, so that nobody waits for a thousand groups without knowing."""
    pairs = sum(len(config.policy.groups(name)) ** 2 // 2 for name in config.policy.attributes)
    seconds = pairs * SECONDS_PER_PAIR
    return "judging" if seconds < 1 else f"judging {pairs:,} pairs of groups, about {seconds:.0f} s"


def today() -> datetime.date:
    """The day on which waivers must still hold, UTC."""
    return datetime.datetime.now(datetime.UTC).date()


def _result(
    name: str,
    device: dict[str, Any],
    measured: Measurement,
    verdict: Verdict,
    timings: dict[str, float],
    config: Config,
) -> TargetResult:
    return TargetResult(
        target=name,
        device=device,
        verdict=verdict,
        counts=measured.evidence.counts.to_json(),
        flips=() if measured.evidence.paired is None else cell_flips(measured.evidence.paired),
        bootstrap={
            attribute: gap_bootstrap(measured.evidence.counts.by(*attribute.split(JOIN)), seed=config.seed)
            for attribute in config.policy.attributes
        },
        latency=measured.latency,
        reference_latency=measured.reference_latency,
        speed_up=measured.speed_up,
        timings_s=timings,
    )


def _file(model: LoadedModel, shown_as: Path) -> ModelFile:
    return ModelFile(path=str(shown_as), sha256=model.sha256, bytes=model.bytes)


def _speed_note(name: str, measured: Measurement) -> tuple[str, ...]:
    speed = measured.speed_up
    if speed is None or speed.upper >= SLOWER:
        return ()
    return (
        f"on target '{name}' the compressed model is slower than the reference: it runs at {speed.ratio:.2f} of its "
        f"speed ({speed.lower:.2f} to {speed.upper:.2f}), batch 1",
    )
