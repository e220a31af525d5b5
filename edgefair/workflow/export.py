"""Compress a trained model, measure the exact file, and ship it only if every gate passes."""

from __future__ import annotations

import importlib.metadata
import json
import time
from pathlib import Path
from typing import Any

import onnx

import edgefair
from edgefair.bundle.manifest import MODEL, REFERENCE, REPORT, SPEC, FileEntry, Manifest
from edgefair.bundle.staging import publish, staging
from edgefair.compress.quantize import quantize_static
from edgefair.compress.recipe import CalibrationRecipe, calibration_rows, open_recipe
from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.data.groups import joint_groups
from edgefair.data.overlap import check_overlap
from edgefair.decision.decide import check_waivers
from edgefair.errors import UsageError
from edgefair.files import sha256_file, write_atomic
from edgefair.probe.device import saturates_int8
from edgefair.probe.spec import ModelSpec
from edgefair.report.model import Report
from edgefair.targets import load_profile, open_target
from edgefair.workflow.progress import Progress, silent
from edgefair.workflow.verify import judge_file, today

CALIBRATION_BATCH = 256


def export(
    config: Config,
    *,
    run: str,
    int8: bool = False,
    output: Path | None = None,
    latency: bool = True,
    progress: Progress = silent,
) -> Report:
    """Export a run, compress it, judge the file on every target, and write the bundle if the policy lets it through.

    A blocked export leaves whatever was at the destination as it was, and `OUTPUT.blocked.json` with the report. A
    bundle appears whole or not at all, whenever the process is killed.

    Args:
        run: name of a finished training run.
        int8: static INT8; without it the FP32 graph is judged and shipped.
        output: the bundle's folder; default: the project's.

    Raises:
        UsageError: the destination cannot be written; unknown recipe or target.
        DataError, ModelError, PolicyError, MeasurementError: nothing was judged and nothing written.
    """
    check_waivers(config.policy, today())
    destination = (config.bundle_path if output is None else output).absolute()
    recipe = open_recipe(_relative(config, config.compress.calibration))
    blocked = destination.with_name(f"{destination.name}.blocked.json")
    with staging(destination) as folder:
        started = time.perf_counter()
        progress(0, 0, "reading")
        data = load(config.data, base=config.base, roles=("train", "validation", "audit"))
        note = check_overlap([data.train, data.validation], data.audit).note
        reading_s = time.perf_counter() - started
        spec, reference, settings = _export_fp32(config, run, folder, progress)
        if int8:
            model = folder / MODEL
            settings |= _quantize(config, recipe, data, spec, reference, model, progress)
        else:
            model = reference
        report = judge_file(
            config,
            data,
            model,
            command="export",
            shown_as=destination,
            reference=reference if int8 else None,
            latency=latency,
            settings=settings,
            notes=(note,) if note else (),
            reading_s=reading_s,
            progress=progress,
        )
        text = json.dumps(report.to_json(), indent=1, allow_nan=False).encode()
        if report.exit_code != 0:
            write_atomic(blocked, text)
            return report
        if not int8:
            (folder / MODEL).write_bytes(reference.read_bytes())
        (folder / SPEC).write_text(spec.to_json())
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


def _export_fp32(config: Config, name: str, folder: Path, progress: Progress) -> tuple[ModelSpec, Path, dict[str, Any]]:
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
    (folder / REFERENCE).parent.mkdir()
    export_classifier(load_classifier(run), run.spec, run.array_shapes, folder / REFERENCE)
    return run.spec, folder / REFERENCE, {"run": name, "training": run.settings}


def _quantize(
    config: Config,
    recipe: CalibrationRecipe,
    data: DataSet,
    spec: ModelSpec,
    source: Path,
    destination: Path,
    progress: Progress,
) -> dict[str, Any]:
    progress(0, 0, "calibrating and quantizing")
    group, groups = joint_groups(data.train.sensitive, config.policy.base_attributes)
    chosen = calibration_rows(recipe, group=group, label=data.train.label, groups=len(groups), seed=config.seed)
    reduce_range = any(_reduce_range(name) for name in config.targets)
    quantized = quantize_static(
        onnx.load_model(source),
        data.train.take(chosen).inputs(spec, CALIBRATION_BATCH),
        recipe,
        reduce_range=reduce_range,
    )
    onnx.save_model(quantized, destination)
    return {
        "int8": "static",
        "calibration": recipe.model_dump(mode="json"),
        "calibration_rows": len(chosen),
        "reduce_range": reduce_range,
    }


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
