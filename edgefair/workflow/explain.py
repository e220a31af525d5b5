"""Which layer hurts whom: every layer of a model quantized and pruned by itself. No audit row is seen."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from pydantic import ValidationError

from edgefair.bundle.manifest import is_bundle, open_bundle
from edgefair.compress.clipping import measure_clipping
from edgefair.compress.prepared import weight_name
from edgefair.compress.recipe import CalibrationRecipe
from edgefair.compress.saturation import Saturation, audit_saturation
from edgefair.compress.search import Choice
from edgefair.compress.sensitivity import Comparison, Effect
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
from edgefair.workflow.layers import Effects, Maker, graph_inputs, layer_effects
from edgefair.workflow.models import Dense, dense_model
from edgefair.workflow.progress import Progress, silent
from edgefair.workflow.runs import choose_run
from edgefair.workflow.stratified import Drawn, cells_of, draw, sample_of

# Steps that leave other weights than those of the model before compression.
TRAINED = ("student", "prune", "low-rank", "cluster", "qat")


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is explained.

    Attributes:
        shown_as: how its owner knows it.
        dense: the model before compression.
        shipped: the statically quantized file of a bundle.
        recipe: how that was calibrated.
        trained: steps that gave the file other weights.
    """

    shown_as: str
    dense: Dense
    shipped: onnx.ModelProto | None = None
    recipe: CalibrationRecipe | None = None
    trained: tuple[str, ...] = ()


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
    """How far INT8 and pruning of each layer move every (group, label) cell, and which layers saturate and clip.

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
    if config.compress.int8 is None:
        config = with_compress(config, int8="auto", fp16=False)
    name = None if model is not None else choose_run(config, run)
    progress(0, 0, "reading")
    data = load(config.data, base=config.base, roles=("train", "validation"))
    if len(data.validation) == 0:
        raise DataError("there are no validation rows to compare layers on", fix="hold some out with data.validation")
    with tempfile.TemporaryDirectory(prefix="edgefair-explain-") as folder:
        work = Path(folder)
        subject = _subject(config, data, model, name, weights, work / "dense" / "model.onnx", progress)
        candidates = Candidates(config, data, subject.dense, None, work, progress)
        recipe = subject.recipe or candidates.recipe(Choice(None, config.compress.calibration))
        maker = Maker(candidates, recipe, progress)
        cells = cells_of(config, data)
        held = draw(data.validation, config, cells, rows, 19)
        seen = draw(data.train, config, cells, rows, 23)
        saturation, clipping = _activations(subject, maker, seen, config.seed, progress)
        progress(0, 0, f"starting {config.targets[0]}")
        with TargetAnswers(load_profile(config.targets[0]), held.rows, subject.dense.spec) as answers:
            sample = sample_of(held, config)
            comparison, effects = layer_effects(maker, answers, subject.dense.spec, sample, prune_share, progress)
    by_name = {node.name: node for node in maker.prepared.graph.node}
    return Explanation(
        model=subject.shown_as,
        int8="static" if maker.static else "dynamic",
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
        layers=tuple(_layer(item, by_name[item.node], saturation, clipping) for item in effects),
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
    static = settings.get("int8") == "static"
    return _Subject(
        str(path),
        dense_model(config, data, str(bundle.reference), weights=None, to=to, progress=progress),
        shipped=onnx.load_model(bundle.model) if static else None,
        recipe=_recipe(path, settings["calibration"]) if static else None,
        trained=tuple(step for step in TRAINED if step in settings),
    )


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


def _activations(
    subject: _Subject, maker: Maker, seen: Drawn, seed: int, progress: Progress
) -> tuple[dict[str, Saturation], dict[str, NDArray[np.float64]]]:
    """Saturation, and shares that are cut off, by layer; of the shipped file where there is one."""
    if not maker.static:
        return {}, {}
    full = maker(frozenset())
    audited = full if subject.shipped is None else subject.shipped
    cells, spec = len(seen.counts), subject.dense.spec
    progress(0, 0, "looking for saturation")
    saturation = audit_saturation(audited, graph_inputs(seen.rows, spec), seen.cell, cells, seed=seed)
    progress(0, 0, "looking for clipping")
    limited = full if subject.trained else audited
    clipping = measure_clipping(maker.prepared, limited, graph_inputs(seen.rows, spec), seen.cell, cells)
    return {item.node: item for item in saturation}, {item.node: item.share for item in clipping}


def _layer(
    item: Effects,
    node: onnx.NodeProto,
    saturation: Mapping[str, Saturation],
    clipping: Mapping[str, NDArray[np.float64]],
) -> Layer:
    audited = saturation.get(item.node)
    return Layer(
        node=item.node,
        operator=node.op_type,
        weight=weight_name(node),
        within=_moved(item.within),
        alone=_moved(item.alone),
        pruned=None if item.pruned is None else _moved(item.pruned),
        saturation=None if audited is None else _plain(audited.share),
        saturation_error=None if audited is None else _plain(audited.error),
        clipping=_plain(clipping[item.node]) if item.node in clipping else None,
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
                f"the bundle's weights were trained again ({', '.join(subject.trained)}): what INT8 and pruning do is "
                "told of its FP32 reference, saturation of its compressed file"
            ]
            if subject.trained
            else []
        ),
        *(
            []
            if maker.static
            else ["dynamic INT8 finds its ranges while it runs: saturation and clipping are not looked at"]
        ),
        *([f"no validation rows: {'; '.join(empty)}"] if empty else []),
    )
