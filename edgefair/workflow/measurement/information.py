"""What a report says beside the verdict: the gap with limits that cover it, and how well scores serve each group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgefair.columns.stored import Growing, slices
from edgefair.data.groups import joint_groups
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.summary import gap_interval
from edgefair.measure.scores import auc_interval, calibration_interval
from edgefair.report.results.verification import GroupScores, Information
from edgefair.workflow.measurement.measure import JudgedRows

NO_SCORES = "the model returns decisions, or more classes than two: no score of class 1 was measured"
DESIGNED = "a label design chose which rows have labels (data.label_design), and scores know no weights"
SUBJECTS = "rows belong to subjects (data.subject), and limits of scores are of independent rows"


def information_of(
    policy: Policy, rows: JudgedRows, evidence: Evidence, score: NDArray[np.float32] | None
) -> Information:
    """What stands beside a verdict.

    Args:
        score: P(class 1) of every row, float32 [rows]; None where it was not measured.
    """
    gaps = {name: gap_interval(evidence, policy, name) for name in policy.attributes}
    why = NO_SCORES if score is None else SUBJECTS if rows.subject is not None else ""
    why = why or (DESIGNED if evidence.strata is not None else "")
    if score is None or why:
        return Information(gaps, {}, why)
    return Information(gaps, {name: tuple(_groups(policy, rows, name, score)) for name in policy.attributes}, "")


def _groups(policy: Policy, rows: JudgedRows, name: str, score: NDArray[np.float32]) -> Iterator[GroupScores]:
    index, groups = joint_groups(rows.sensitive, policy.attributes_of(name))
    of = dict(zip(groups, _of_each(index, len(groups), score, rows.label), strict=True))
    none = np.empty(0, np.float32), np.empty(0, np.int64)
    for group, shown in zip(policy.groups(name), policy.group_names(name), strict=True):
        (scores, labels), level = of.get(group, none), policy.alpha / 2
        positives = sum(int(np.count_nonzero(labels[part] == 1)) for part in slices(len(labels), labels))
        yield GroupScores(
            group=shown,
            positives=positives,
            negatives=len(labels) - positives,
            auc=auc_interval(scores, labels, level=level),
            calibration=calibration_interval(scores, labels, level=level),
        )


def _of_each(
    index: NDArray[np.int64], groups: int, score: NDArray[np.float32], label: NDArray[np.int64]
) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """The scores and the labels of every group's rows, in their order."""
    sizes = np.zeros(groups, dtype=np.int64)
    for part in slices(len(index), index):
        sizes += np.bincount(index[part], minlength=groups)
    found = [(Growing(np.float32, size), Growing(np.int64, size)) for size in sizes.tolist()]
    for part in slices(len(index), index, score, label):
        # In the time of one pass where numpy sorts numbers of 16 bits.
        order = part.start + np.argsort(index[part].astype(np.min_scalar_type(groups)), kind="stable")
        ends = np.cumsum(np.bincount(index[part], minlength=groups))
        for (scores, labels), here in zip(found, np.split(order, ends[:-1]), strict=True):
            scores.append(score[here])
            labels.append(label[here])
    return [(scores.column, labels.column) for scores, labels in found]
