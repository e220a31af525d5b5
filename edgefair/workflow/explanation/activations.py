"""What low precision does to activations, by layer and (group, label) cell: saturating sums, lost values."""

from __future__ import annotations

from edgefair.compress.low_precision.base import ActivationHarm, Look, LowPrecision
from edgefair.compress.quantization.static import Precision
from edgefair.progress import Progress
from edgefair.workflow.explanation.subject import Subject
from edgefair.workflow.measurement.sampling import Drawn
from edgefair.workflow.models.graph_inputs import GraphInputs

BATCH_ROWS = 64


def activation_harm(subject: Subject, low: LowPrecision, seen: Drawn, seed: int, progress: Progress) -> ActivationHarm:
    """What happens to activations, by layer; in the shipped file where there is one.

    Args:
        seen: training rows of every cell.
        seed: draws the sums that are audited.

    Raises:
        ModelError: the graph cannot be run.
    """
    full = low.convert(Precision())
    audited = full if subject.shipped is None else subject.shipped
    look = Look(
        made=audited,
        calibrated=full if subject.trained else audited,
        batches=GraphInputs(seen.rows, subject.reference.spec, BATCH_ROWS),
        cell=seen.cell,
        cells=len(seen.counts),
        seed=seed,
        tell=progress.stage,
    )
    return low.audit(look)
