"""Which layer hurts whom: every layer of a model in low precision and pruned by itself. No audit row is seen."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.compress.analysis.scores import Scores
from edgefair.compress.analysis.sensitivity import Comparison, Effect
from edgefair.compress.low_precision.base import ActivationHarm
from edgefair.compress.quantization.prepare import weight_name
from edgefair.compress.quantization.static import Precision
from edgefair.config import Config, with_compress
from edgefair.data.dataset import load
from edgefair.data.groups import joint_groups
from edgefair.data.rows import TableRows
from edgefair.decision.policy import Policy
from edgefair.errors import DataError
from edgefair.files import as_path
from edgefair.joint import group_name
from edgefair.progress import Progress, silent
from edgefair.report.results.explanation import Cell, Cells, Explanation, Layer, Moved
from edgefair.scratch import work_folder
from edgefair.streams import Stream
from edgefair.targets import load_profile
from edgefair.workflow.compression.candidates import Candidates
from edgefair.workflow.compression.recipes import recipe_of
from edgefair.workflow.exemplars.changed import DecidedTwice, RowsToShow
from edgefair.workflow.explanation.activations import activation_harm
from edgefair.workflow.explanation.cost import layer_times
from edgefair.workflow.explanation.layers import Effects, layer_effects
from edgefair.workflow.explanation.subject import Subject, subject_of
from edgefair.workflow.job import Job
from edgefair.workflow.kept_targets import KeptTargets
from edgefair.workflow.measurement.outputs import TargetAnswers
from edgefair.workflow.measurement.sampling import Cells as StratifiedCells
from edgefair.workflow.measurement.sampling import Drawn, cells_of, draw, sample_of
from edgefair.workflow.models.runs import choose_run
from edgefair.workflow.models.vocabulary import categories_in, categories_of_run
from edgefair.workflow.sealing.seal import check_not_sealed


def explain(
    config: Config,
    *,
    model: str | Path | None = None,
    run: str | None = None,
    weights: str | Path | None = None,
    rows: int = 64,
    prune_share: float = 0.5,
    to_show: RowsToShow | None = None,
    progress: Progress = silent,
) -> Explanation:
    """How far low precision and pruning of each layer move every (group, label) cell; what saturates, clips, overflows.

    A seeded sample of the validation rows answers, on the first target. Activations are looked at on a sample of the
    training rows, on this machine, whatever its processor: what saturates elsewhere is told from the numbers.

    Args:
        model: a bundle, whose FP32 reference is explained with its compressed file; or a model as
            `workflow.models.kinds.KINDS` says.
        run: name of a finished training run, instead of a model; default: the only one.
        weights: of the torch module that a factory makes.
        rows: of each cell, at most so many are drawn from either split.
        prune_share: of a layer's output channels.
        to_show: takes the drawn validation rows that low precision throughout decides otherwise.

    Raises:
        UsageError: no such run or model.
        ModelError: a model that cannot be quantized, or gives no probabilities.
        DataError: no validation rows, or rows that the model does not fit.
        MeasurementError: the target gave no answers that can be believed.
    """
    model, weights = None if model is None else str(model), as_path(weights)
    name = None if model is not None else choose_run(config, run)
    progress.stage("reading")
    categories = categories_in(Path(str(model))) if name is None else categories_of_run(config, name)
    data = load(config.data, base=config.base, roles=("train", "validation"), categories=categories)
    check_not_sealed(config, data)
    if len(data.validation) == 0:
        raise DataError("there are no validation rows to compare layers on", fix="hold some out with data.validation")
    with work_folder() as work, KeptTargets() as targets:
        to = work / "reference" / "model.onnx"
        subject = subject_of(config, data, model=model, run=name, weights=weights, to=to, progress=progress)
        config = _compressing(config, subject)
        job = Job(config, data, progress, targets=targets)
        candidates = Candidates(job, subject.reference, None, work)
        low = candidates.graphs.low_precision(None, subject.recipe or recipe_of(config, config.compress.calibration))
        cells = cells_of(config, data)
        held = draw(data.validation, config, cells, rows, Stream.EXPLAINED_ROWS)
        seen = draw(data.train, config, cells, rows, Stream.EXPLAINED_ACTIVATIONS)
        harm = activation_harm(subject, low, seen, config.seed, progress)
        progress.stage(f"starting {config.targets[0]}")
        with TargetAnswers(
            load_profile(config.targets[0]), held.rows, subject.reference.spec, targets=job.targets
        ) as answers:
            sample = sample_of(held, config)
            found = layer_effects(low, answers, subject.reference.spec, sample, prune_share, progress)
            progress.stage("timing nodes")
            before, after = (
                layer_times(graph.graph, answers.node_times(graph), low.nodes)
                for graph in (low.prepared, low.convert(Precision()))
            )
    if to_show is not None:
        twice = _decided_twice(found.before, found.after, held.place)
        attributes = config.policy.base_attributes
        to_show.take(config.targets[0], held.rows, twice, attributes=attributes, classes=data.classes)
    comparison = found.comparison
    by_name = {node.name: node for node in low.prepared.graph.node}
    weights_of = {item.name for item in low.prepared.graph.initializer}
    return Explanation(
        model=subject.shown_as,
        int8=low.settings.get("int8"),
        called=low.called,
        precision=low.short,
        unsaturated=low.unsaturated,
        target=config.targets[0],
        source=data.source,
        rows_per_cell=rows,
        prune_share=prune_share,
        attributes=config.policy.base_attributes,
        compared=None if comparison is None else _said(config.policy, comparison, held.rows, data.classes),
        difference=None if comparison is None else comparison.difference,
        cells=tuple(
            Cell(group_name(group), label, int(held.counts[index]), int(seen.counts[index]))
            for index, (group, label) in enumerate(cells)
        ),
        layers=tuple(
            replace(
                _layer(item, by_name[item.node], weights_of, harm),
                reference_us=before.get(item.node),
                low_us=after.get(item.node),
            )
            for item in found.layers
        ),
        notes=_notes(subject, (*harm.notes, *low.notes), cells, held),
    )


def _decided_twice(before: Scores, after: Scores, place: NDArray[np.int64]) -> DecidedTwice:
    one, other = (item.probability[:, 1] if item.probability.shape[1] == 2 else None for item in (before, after))
    return DecidedTwice(before.decision, after.decision, one, other, place)


def _compressing(config: Config, subject: Subject) -> Config:
    """The config with the precision that is explained: the bundle's, else what the config asks for, else INT8."""
    if subject.precision:
        return with_compress(config, **subject.precision)
    return config if config.compress.int8 or config.compress.fp16 else with_compress(config, int8="auto")


def _layer(item: Effects, node: onnx.NodeProto, weights: Collection[str], harm: ActivationHarm) -> Layer:
    audited = harm.saturation.get(item.node)
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
        clipping=_plain(harm.clipping[item.node]) if item.node in harm.clipping else None,
        overflow=_plain(harm.overflow[item.node]) if item.node in harm.overflow else None,
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


def _said(policy: Policy, comparison: Comparison, rows: TableRows, classes: tuple[str, ...]) -> str:
    _, groups = joint_groups(rows.sensitive, policy.attributes_of(comparison.attribute))
    high, low = (group_name(groups[at]) for at in (comparison.high, comparison.low))
    return (
        f"{comparison.attribute}: {high} against {low}, decided "
        f"{classes[comparison.choice]} where {classes[comparison.label]} is right"
    )


def _notes(subject: Subject, found: tuple[str, ...], cells: StratifiedCells, held: Drawn) -> tuple[str, ...]:
    empty = [f"{group_name(g)}, {y}" for (g, y), rows in zip(cells, held.counts.tolist(), strict=True) if rows == 0]
    return (
        *(
            [
                f"the bundle's weights were trained further ({', '.join(subject.trained)}): the effects of low "
                "precision and pruning are those of its FP32 reference, saturation that of its compressed file"
            ]
            if subject.trained
            else []
        ),
        *found,
        *([f"no validation rows: {'; '.join(empty)}"] if empty else []),
    )
