"""Which layer hurts whom: every layer of a model in low precision and pruned by itself. No audit row is seen."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from pydantic import ValidationError

from edgefair.bundle.manifest import is_bundle, open_bundle
from edgefair.compress.clipping import measure_clipping
from edgefair.compress.prepared import weight_name
from edgefair.compress.recipe import CalibrationRecipe
from edgefair.compress.saturation import Saturation, audit_dynamic_saturation, audit_saturation
from edgefair.compress.search import Choice
from edgefair.compress.sensitivity import Comparison, Effect
from edgefair.compress.value_shares import Shares, measure_overflow
from edgefair.config import Config, with_compress
from edgefair.data.dataset import DataSet, load
from edgefair.data.groups import joint_groups
from edgefair.data.rows import TableRows
from edgefair.decision.policy import JOIN
from edgefair.errors import DataError, ModelError
from edgefair.report.explanation import Cell, Cells, Explanation, Layer, Moved
from edgefair.targets import load_profile
from edgefair.workflow.answers import TargetAnswers
from edgefair.workflow.candidates import Candidates
from edgefair.workflow.export import trained_model
from edgefair.workflow.graph_inputs import GraphInputs
from edgefair.workflow.layers import Effects, Maker, layer_effects
from edgefair.workflow.models import Dense, dense_model
from edgefair.workflow.progress import Progress, silent
from edgefair.workflow.runs import choose_run
from edgefair.workflow.stratified import Drawn, cells_of, draw, sample_of

BATCH_ROWS = 64
# Steps that leave other weights than those of the model before compression.
TRAINED = ("student", "prune", "low-rank", "cluster", "qat")


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is explained.

    Attributes:
        shown_as: how its owner knows it.
        dense: the model before compression.
        shipped: the INT8 file of a bundle.
        precision: settings under `compress` that it was made with.
        recipe: how it was calibrated.
        trained: steps that gave the file other weights.
    """

    shown_as: str
    dense: Dense
    shipped: onnx.ModelProto | None = None
    precision: dict[str, Any] = field(default_factory=dict)
    recipe: CalibrationRecipe | None = None
    trained: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Found:
    """By layer: sums beyond 16 bits, and shares of values that are cut off or become infinite."""

    saturation: Mapping[str, Saturation] = field(default_factory=dict)
    clipping: Mapping[str, Shares] = field(default_factory=dict)
    overflow: Mapping[str, Shares] = field(default_factory=dict)


def explain(
    config: Config,
    *,
    model: str | None = None,
    run: str | None = None,
    weights: Path | None = None,
    rows: int = 64,
    prune_share: float = 0.5,
    progress: Progress = silent,
) -> Explanation:
    """How far low precision and pruning of each layer move every (group, label) cell; what saturates, clips, overflows.

    A seeded sample of the validation rows answers, on the first target. Activations are looked at on a sample of the
    training rows, on this machine, whatever its processor: what saturates elsewhere is told from the numbers.

    Args:
        model: a bundle, whose FP32 reference is explained with its compressed file; or a model as
            `workflow.models.KINDS` says.
        run: name of a finished training run, instead of a model; default: the only one.
        weights: of the torch module that a factory makes.
        rows: of each cell, at most so many are drawn from either split.
        prune_share: of a layer's output channels.

    Raises:
        UsageError: no such run or model.
        ModelError: a model that cannot be quantized, or gives no probabilities.
        DataError: no validation rows, or rows that the model does not fit.
        MeasurementError: the target gave no answers that can be believed.
    """
    name = None if model is not None else choose_run(config, run)
    progress(0, 0, "reading")
    data = load(config.data, base=config.base, roles=("train", "validation"))
    if len(data.validation) == 0:
        raise DataError("there are no validation rows to compare layers on", fix="hold some out with data.validation")
    with tempfile.TemporaryDirectory(prefix="edgefair-explain-") as folder:
        work = Path(folder)
        subject = _subject(config, data, model, name, weights, work / "dense" / "model.onnx", progress)
        config = _compressing(config, subject)
        candidates = Candidates(config, data, subject.dense, None, work, progress)
        recipe = subject.recipe or candidates.recipe(Choice(None, config.compress.calibration))
        maker = Maker(candidates, recipe, progress)
        cells = cells_of(config, data)
        held = draw(data.validation, config, cells, rows, 19)
        seen = draw(data.train, config, cells, rows, 23)
        found = _activations(subject, maker, seen, config.seed, progress)
        progress(0, 0, f"starting {config.targets[0]}")
        with TargetAnswers(load_profile(config.targets[0]), held.rows, subject.dense.spec) as answers:
            sample = sample_of(held, config)
            comparison, effects = layer_effects(maker, answers, subject.dense.spec, sample, prune_share, progress)
    by_name = {node.name: node for node in maker.prepared.graph.node}
    weights_of = {item.name for item in maker.prepared.graph.initializer}
    return Explanation(
        model=subject.shown_as,
        int8=None if maker.kind == "fp16" else maker.kind,
        target=config.targets[0],
        source=data.source,
        rows_per_cell=rows,
        prune_share=prune_share,
        attributes=config.policy.base_attributes,
        compared=None if comparison is None else _said(comparison, held.rows, data.classes),
        difference=None if comparison is None else comparison.difference,
        cells=tuple(
            Cell(group, label, int(held.counts[index]), int(seen.counts[index]))
            for index, (group, label) in enumerate(cells)
        ),
        layers=tuple(_layer(item, by_name[item.node], weights_of, found) for item in effects),
        notes=_notes(subject, maker, cells, held),
    )


def _subject(
    config: Config,
    data: DataSet,
    model: str | None,
    run: str | None,
    weights: Path | None,
    to: Path,
    progress: Progress,
) -> _Subject:
    if run is not None:
        return _Subject(f"run {run}", trained_model(config, run, to, progress))
    path = Path(str(model))
    if not path.is_dir():
        return _Subject(str(model), dense_model(config, data, str(model), weights=weights, to=to, progress=progress))
    if not is_bundle(path):
        raise ModelError(
            f"'{path}' is a folder and no bundle", expected="a bundle of `edgefair export`, or the file of a model"
        )
    bundle = open_bundle(path)
    if bundle.reference is None:
        raise ModelError(
            f"bundle '{path}' has no FP32 reference to compare layers with",
            fix="explain the bundle where it was exported, or the model that it was made from",
        )
    settings = bundle.manifest.settings
    int8 = settings.get("int8")
    half = bool(settings.get("fp16"))
    return _Subject(
        str(path),
        dense_model(config, data, str(bundle.reference), weights=None, to=to, progress=progress),
        shipped=None if int8 is None else onnx.load_model(bundle.model),
        precision={"int8": int8, "fp16": half} if int8 is not None or half else {},
        recipe=_recipe(path, settings["calibration"]) if int8 == "static" else None,
        trained=tuple(step for step in TRAINED if step in settings),
    )


def _compressing(config: Config, subject: _Subject) -> Config:
    """The config with the precision that is explained: the bundle's, else what the config asks for, else INT8."""
    if subject.precision:
        return with_compress(config, **subject.precision)
    return config if config.compress.int8 or config.compress.fp16 else with_compress(config, int8="auto")


def _recipe(bundle: Path, settings: dict[str, Any]) -> CalibrationRecipe:
    """The recipe as the manifest has it, which spells out what a recipe's file leaves to its defaults."""
    fields = CalibrationRecipe.model_fields
    given = {key: value for key, value in settings.items() if key not in fields or value != fields[key].default}
    try:
        return CalibrationRecipe.model_validate(given)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise ModelError(
            f"the calibration recipe in the manifest of bundle '{bundle}' cannot be read: {reason}"
        ) from error


def _activations(subject: _Subject, maker: Maker, seen: Drawn, seed: int, progress: Progress) -> _Found:
    """What happens to activations, by layer; in the shipped file where there is one."""
    cells, spec = len(seen.counts), subject.dense.spec
    batches = GraphInputs(seen.rows, spec, BATCH_ROWS)
    if maker.kind == "fp16":
        progress(0, 0, "looking for overflow")
        return _Found(overflow=measure_overflow(maker.prepared, maker.nodes, batches, seen.cell, cells))
    full = maker(frozenset())
    audited = full if subject.shipped is None else subject.shipped
    progress(0, 0, "looking for saturation")
    if maker.kind == "dynamic":
        audit = audit_dynamic_saturation(maker.prepared, audited, batches, seen.cell, cells, seed=seed)
        return _Found(saturation={item.node: item for item in audit})
    audit = audit_saturation(audited, batches, seen.cell, cells, seed=seed)
    progress(0, 0, "looking for clipping")
    limited = full if subject.trained else audited
    clipping = measure_clipping(maker.prepared, limited, batches, seen.cell, cells)
    return _Found({item.node: item for item in audit}, {item.node: item.share for item in clipping})


def _layer(item: Effects, node: onnx.NodeProto, weights: Collection[str], found: _Found) -> Layer:
    audited = found.saturation.get(item.node)
    weight = weight_name(node)
    return Layer(
        node=item.node,
        operator=node.op_type,
        weight=weight if weight in weights else "",
        within=_moved(item.within),
        alone=_moved(item.alone),
        pruned=None if item.pruned is None else _moved(item.pruned),
        saturation=None if audited is None else _plain(audited.share),
        saturation_error=None if audited is None else _plain(audited.error),
        clipping=_plain(found.clipping[item.node]) if item.node in found.clipping else None,
        overflow=_plain(found.overflow[item.node]) if item.node in found.overflow else None,
    )


def _moved(found: Effect) -> Moved:
    return Moved(
        worst_loss=found.worst_loss,
        gap=found.gap,
        loss=_plain(found.loss),
        log_odds=_plain(found.log_odds),
        probability=_plain(found.probability),
        flips=_plain(found.flips),
    )


def _plain(values: Iterable[float]) -> Cells:
    return tuple(None if math.isnan(value) else float(value) for value in values)


def _said(comparison: Comparison, rows: TableRows, classes: tuple[str, ...]) -> str:
    _, groups = joint_groups(rows.sensitive, comparison.attribute.split(JOIN))
    return (
        f"{comparison.attribute}: {groups[comparison.high]} against {groups[comparison.low]}, decided "
        f"{classes[comparison.choice]} where {classes[comparison.label]} is right"
    )


def _notes(subject: _Subject, maker: Maker, cells: tuple[tuple[str, str], ...], held: Drawn) -> tuple[str, ...]:
    empty = [f"{g}, {y}" for (g, y), rows in zip(cells, held.counts.tolist(), strict=True) if rows == 0]
    return (
        *(
            [
                f"the bundle's weights were trained again ({', '.join(subject.trained)}): what low precision and "
                "pruning do is told of its FP32 reference, saturation of its compressed file"
            ]
            if subject.trained
            else []
        ),
        *(
            ["dynamic INT8 finds its ranges while it runs, row by row: it cuts nothing off"]
            if maker.kind == "dynamic"
            else []
        ),
        *maker.notes,
        *([f"no validation rows: {'; '.join(empty)}"] if empty else []),
    )
