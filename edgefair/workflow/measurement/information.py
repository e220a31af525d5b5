"""What a report says beside the verdict: the gap with limits that cover it, and how well scores serve each group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

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
    # In the time of one pass where numpy sorts numbers of 16 bits.
    order = np.argsort(index.astype(np.min_scalar_type(len(groups))), kind="stable")
    own = np.split(order, np.cumsum(np.bincount(index, minlength=len(groups)))[:-1])
    of = dict(zip(groups, own, strict=True))
    for group, shown in zip(policy.groups(name), policy.group_names(name), strict=True):
        here = of.get(group, order[:0])
        scores, labels, level = score[here].astype(np.float64), rows.label[here], policy.alpha / 2
        yield GroupScores(
            group=shown,
            positives=int(np.count_nonzero(labels == 1)),
            negatives=int(np.count_nonzero(labels == 0)),
            auc=auc_interval(scores, labels, level=level),
            calibration=calibration_interval(scores, labels, level=level),
        )
