"""Compress a trained model, measure the exact file, and ship it only if every gate passes."""

from __future__ import annotations

import importlib.metadata
import json
import time
from pathlib import Path
from typing import Any, Literal

import onnx

import edgefair
from edgefair.bundle.manifest import MODEL, REFERENCE, REPORT, SPEC, FileEntry, Manifest
from edgefair.bundle.staging import publish, staging
from edgefair.compress.quantize import quantize_dynamic, quantize_static
from edgefair.compress.recipe import CalibrationRecipe, calibration_rows, open_recipe
from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.data.groups import joint_groups
from edgefair.data.texts import TOKENIZER, Texts
from edgefair.decision.decide import check_waivers
from edgefair.errors import UsageError
from edgefair.files import sha256_file, write_atomic
from edgefair.probe.device import saturates_int8
from edgefair.probe.prepare import needs_preparation, prepare
from edgefair.probe.spec import ModelSpec
from edgefair.report.model import Report
from edgefair.targets import load_profile, open_target
from edgefair.workflow.models import Dense, dense_model
from edgefair.workflow.post import apply_post, check_post, post_notes
from edgefair.workflow.progress import Progress, silent
from edgefair.workflow.prune import check_prune, export_pruned
from edgefair.workflow.runs import choose_run
from edgefair.workflow.verify import judge_file, notes_of, today

CALIBRATION_BATCH = 256
Int8 = Literal["auto", "static", "dynamic"]


def export(
    config: Config,
    *,
    run: str | None = None,
    model: str | None = None,
    weights: Path | None = None,
    int8: Int8 | None = None,
    output: Path | None = None,
    latency: bool = True,
    progress: Progress = silent,
) -> Report:
    """Export a run or a model, compress it, judge the file on every target, and write the bundle if the policy agrees.

    Steps, as `compress:` and `debias:` say: prune and fine-tune, INT8, treatments of the compressed file.

    A blocked export leaves whatever was at the destination as it was, and `OUTPUT.blocked.json` with the report. A
    bundle appears whole or not at all, whenever the process is killed.

    Args:
        run: name of a finished training run; default: the only one.
        model: instead of a run, a model that is there already: see `workflow.models.KINDS`.
        weights: of the torch module that the factory `model` makes.
        int8: `static`, `dynamic`, or `auto` (dynamic for texts, else static); None ships the FP32 graph.
        output: the bundle's folder; default: the project's.

    Raises:
        UsageError: the destination cannot be written; unknown recipe, target or method; steps that contradict.
        DataError, ModelError, PolicyError, MeasurementError: nothing was judged and nothing written.
    """
    check_waivers(config.policy, today())
    check_post(config.debias.post)
    if config.compress.prune is not None:
        check_prune(config, model)
    destination = (config.bundle_path if output is None else output).absolute()
    recipe = open_recipe(_relative(config, config.compress.calibration))
    blocked = destination.with_name(f"{destination.name}.blocked.json")
    with staging(destination) as folder:
        started = time.perf_counter()
        progress(0, 0, "reading")
        data = load(config.data, base=config.base, roles=("train", "validation", "audit"))
        notes = notes_of(data)
        reading_s = time.perf_counter() - started
        if model is None:
            dense = _trained(config, choose_run(config, run), folder / REFERENCE, progress)
        else:
            dense = dense_model(config, data, model, weights=weights, to=folder / REFERENCE, progress=progress)
        spec, settings, candidate = dense.spec, dense.settings, dense.path
        if config.compress.prune is not None:
            made, said = export_pruned(
                config, data, choose_run(config, run), folder / MODEL, ratio=config.compress.prune, progress=progress
            )
            candidate, settings, notes = folder / MODEL, settings | {"prune": made}, (*notes, *said)
        if int8 is not None:
            settings |= _quantize(config, recipe, data, spec, candidate, folder / MODEL, int8, progress)
            candidate = folder / MODEL
        if config.debias.post:
            spec, chosen = apply_post(config, data, spec, candidate, folder / MODEL, progress)
            candidate, settings, notes = folder / MODEL, settings | {"post": chosen}, (*notes, *post_notes(chosen))
        changed = candidate != dense.path
        report = judge_file(
            config,
            data,
            candidate,
            command="export",
            shown_as=destination,
            reference=dense.path if changed else None,
            latency=latency,
            settings=settings,
            notes=notes,
            reading_s=reading_s,
            progress=progress,
        )
        text = json.dumps(report.to_json(), indent=1, allow_nan=False).encode()
        if report.exit_code != 0:
            write_atomic(blocked, text)
            return report
        if not changed:
            (folder / MODEL).write_bytes(dense.path.read_bytes())
        (folder / SPEC).write_text(spec.to_json())
        _add_tokenizer(data, folder)
        (folder / REPORT).write_bytes(text)
        progress(0, 0, "writing")
        (folder / "manifest.json").write_text(_manifest(folder, report, settings).to_json())
        progress(0, 0, "publishing")
        publish(folder, destination)
    blocked.unlink(missing_ok=True)
    progress(0, 0, "published")
    return report


def _relative(config: Config, name: str) -> str:
    return str(config.base / name) if Path(name).suffix else name


def _trained(config: Config, name: str, to: Path, progress: Progress) -> Dense:
    progress(0, 0, "exporting to ONNX")
    try:
        from edgefair.exporters.torch_module import export_classifier
        from edgefair.training.build import load_classifier
        from edgefair.training.run import load_run
    except ImportError as error:
        raise UsageError(
            f"export needs PyTorch: {error}", fix="pip install 'edgefair[torch]'; verify works without it"
        ) from error
    run = load_run(config.run_path(name))
    to.parent.mkdir()
    export_classifier(load_classifier(run), run.spec, run.array_shapes, to)
    return Dense(run.spec, to, {"run": name, "training": run.settings})


def _quantize(
    config: Config,
    recipe: CalibrationRecipe,
    data: DataSet,
    spec: ModelSpec,
    source: Path,
    to: Path,
    kind: Int8,
    progress: Progress,
) -> dict[str, Any]:
    reduce_range = any(_reduce_range(name) for name in config.targets)
    graph = onnx.load_model(source)
    if kind == "auto":
        kind = "dynamic" if any(item.tokens is not None for item in spec.inputs) else "static"
    if kind == "dynamic":
        progress(0, 0, "quantizing")
        onnx.save_model(quantize_dynamic(graph, reduce_range=reduce_range), to)
        return {"int8": "dynamic", "reduce_range": reduce_range}
    progress(0, 0, "calibrating and quantizing")
    group, groups = joint_groups(data.train.sensitive, config.policy.base_attributes)
    chosen = calibration_rows(recipe, group=group, label=data.train.label, groups=len(groups), seed=config.seed)
    rows = data.train.take(chosen)
    batches = rows.inputs(spec, rows.batch_rows(spec, CALIBRATION_BATCH))
    prepared = (prepare(batch, [item for item in spec.inputs if needs_preparation(item)]) for batch in batches)
    onnx.save_model(quantize_static(graph, prepared, recipe, reduce_range=reduce_range), to)
    return {
        "int8": "static",
        "calibration": recipe.model_dump(mode="json"),
        "calibration_rows": len(chosen),
        "reduce_range": reduce_range,
    }


def _add_tokenizer(data: DataSet, folder: Path) -> None:
    """A device that gets texts needs what cuts them."""
    for name in data.features:
        column = data.train.table.columns[name]
        if isinstance(column, Texts):
            (folder / TOKENIZER).write_bytes(column.tokenizer.path.read_bytes())


def _reduce_range(target: str) -> bool:
    """Whether a target's processor needs 7-bit weights: as its profile says, else as its fingerprint says."""
    profile = load_profile(target)
    if isinstance(profile.reduce_range, bool):
        return profile.reduce_range
    with open_target(profile) as probe:
        return saturates_int8(probe.device)


def _manifest(folder: Path, report: Report, settings: dict[str, Any]) -> Manifest:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "onnx", "onnxruntime", "torch")}
    return Manifest(
        files={str(path.relative_to(folder)): FileEntry(sha256_file(path), path.stat().st_size) for path in paths},
        outcome=str(report.outcome),
        targets=tuple(
            {"name": item.target, "machine": item.device.get("machine"), "cpu": item.device.get("cpu")}
            for item in report.targets
        ),
        made_with={"edgefair": edgefair.__version__, **versions},
        settings=settings,
    )
