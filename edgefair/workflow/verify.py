"""Measure a model on its targets, judge it, and report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from edgefair.bundle.manifest import Bundle, is_bundle, open_bundle
from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.decision.decide import check_waivers
from edgefair.errors import ModelError
from edgefair.files import shown
from edgefair.report.model import Report
from edgefair.scratch import work_folder
from edgefair.workflow.judge import judge_file, judge_record, today
from edgefair.workflow.models import dense_model, names_foreign_model, spec_here
from edgefair.workflow.progress import Progress, silent
from edgefair.workflow.seen import Seen, check_rows
from edgefair.workflow.vocabulary import categories_in

__all__ = ["judge_file", "judge_record", "notes_of", "today", "verify"]


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
        record: also write the raw measurements here, for `compare` and `judge_record`.

    Raises:
        DataError, ModelError, PolicyError: see the message; nothing was judged.
        MeasurementError: a target gave no measurement that can be believed.
    """
    check_waivers(config.policy, today())
    started = time.perf_counter()
    path = config.bundle_path if path is None else path
    settings: dict[str, Any] = {}
    bundle: Bundle | None = None
    if path.is_dir():
        if not is_bundle(path):
            raise ModelError(
                f"'{path}' is a folder and no bundle", expected="a bundle of `edgefair export`, or an .onnx file"
            )
        bundle = open_bundle(path)
        settings = bundle.manifest.settings
        reference = bundle.compressed_from if reference is None else reference
        model = bundle.model
    else:
        model = path
        if not path.exists() and not names_foreign_model(str(path)):
            raise ModelError(
                f"no bundle and no model file '{path}'", fix="run `edgefair export --int8` first, or name a file"
            )
    progress(0, 0, "reading")
    data = load(
        config.data,
        base=config.base,
        roles=("train", "validation", "audit"),
        categories=frozenset() if names_foreign_model(str(path)) else categories_in(path),
    )
    with work_folder() as folder:
        if names_foreign_model(str(path)):
            to = folder / "model.onnx"
            dense = dense_model(config, data, str(path), weights=weights, to=to, progress=progress)
            model, settings = dense.path, dense.settings
            seen = Seen.by_config(data, dense.spec)
        elif bundle is not None:
            seen = Seen.by_bundle(bundle, data)
        else:
            seen = Seen.by_config(data, spec_here(config, data, path))
        return judge_file(
            config,
            data,
            model,
            command="verify",
            shown_as=Path(shown(path, config.base)),
            reference=reference,
            latency=latency,
            record=record,
            settings=settings,
            notes=notes_of(config, data, seen),
            reading_s=time.perf_counter() - started,
            progress=progress,
        )


def notes_of(config: Config, data: DataSet, seen: Seen) -> tuple[str, ...]:
    """What a reader of the verdict must know of the rows.

    Raises:
        DataError: audit rows that the model has seen, or that are counted several times.
    """
    return (*check_rows(config, data, seen), *(f"left out: {item}" for item in data.skipped))
