"""What a network decides of the training rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgefair.debias import Debias
from edgefair.errors import UsageError
from edgefair.training.classifier import Classifier
from edgefair.training.engine import Engine
from edgefair.training.rows import TrainingRows
from edgefair.training.settings import TrainPlan


def compare(
    methods: Sequence[Debias], reference: Classifier | None, rows: TrainingRows, plan: TrainPlan, engine: Engine
) -> None:
    """Tell the methods that want to know it what the model before compression decides rightly.

    Raises:
        UsageError: one wants to, and there is no such model.
    """
    asking = [method for method in methods if method.needs_reference]
    if not asking:
        return
    if reference is None:
        raise UsageError(
            f"{type(asking[0]).__name__} compares with the model before compression, and nothing is compressed yet",
            expected="a training after compression",
            fix="list it in debias.finetune",
        )
    right = right_rows(reference, rows, plan, engine)
    for method in asking:
        method.learn_reference(right)


def right_rows(classifier: Classifier, rows: TrainingRows, plan: TrainPlan, engine: Engine) -> Tensor:
    """Which training rows a model decides rightly, bool [rows]; it comes back to the CPU."""
    classifier.eval()
    with engine.lent(classifier), torch.no_grad():
        decided = [
            classifier(*batch).argmax(dim=1)
            for batch in rows.batches(torch.arange(len(rows), device=engine.device), plan.batch_rows)
        ]
    return torch.cat(decided).cpu() == rows.cells.label
