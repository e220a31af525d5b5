"""What low precision does to activations, by layer and (group, label) cell: saturating sums, lost values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgefair.compress.analysis.clipping import measure_clipping
from edgefair.compress.analysis.out_of_range import Shares, measure_overflow
from edgefair.compress.analysis.saturation import Saturation, audit_dynamic_saturation, audit_saturation
from edgefair.progress import Progress
from edgefair.workflow.explanation.layers import Maker
from edgefair.workflow.explanation.subject import Subject
from edgefair.workflow.measurement.sampling import Drawn
from edgefair.workflow.models.graph_inputs import GraphInputs

BATCH_ROWS = 64


@dataclass(frozen=True, eq=False)
class ActivationHarm:
    """By layer: sums beyond 16 bits, and shares of values that are cut off or become infinite."""

    saturation: Mapping[str, Saturation] = field(default_factory=dict)
    clipping: Mapping[str, Shares] = field(default_factory=dict)
    overflow: Mapping[str, Shares] = field(default_factory=dict)


def activation_harm(subject: Subject, maker: Maker, seen: Drawn, seed: int, progress: Progress) -> ActivationHarm:
    """What happens to activations, by layer; in the shipped file where there is one.

    Args:
        seen: training rows of every cell.
        seed: draws the sums that are audited.

    Raises:
        ModelError: the graph cannot be run.
    """
    cells, spec = len(seen.counts), subject.dense.spec
    batches = GraphInputs(seen.rows, spec, BATCH_ROWS)
    if maker.kind == "fp16":
        progress.stage("looking for overflow")
        return ActivationHarm(overflow=measure_overflow(maker.prepared, maker.nodes, batches, seen.cell, cells))
    full = maker(frozenset())
    audited = full if subject.shipped is None else subject.shipped
    progress.stage("looking for saturation")
    if maker.kind == "dynamic":
        audit = audit_dynamic_saturation(maker.prepared, audited, batches, seen.cell, cells, seed=seed)
        return ActivationHarm(saturation={item.node: item for item in audit})
    audit = audit_saturation(audited, batches, seen.cell, cells, seed=seed)
    progress.stage("looking for clipping")
    limited = full if subject.trained else audited
    clipping = measure_clipping(maker.prepared, limited, batches, seen.cell, cells)
    return ActivationHarm({item.node: item for item in audit}, {item.node: item.share for item in clipping})
