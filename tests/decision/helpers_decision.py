"""Small counts and policies for the decision's tests."""

import numpy as np

from edgefair.decision.policy import Policy
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts


def counts_of(table, attribute="sex", groups=None, classes=None):
    """GroupCounts of one attribute from [groups][labels][decisions]."""
    table = np.asarray(table, dtype=np.int64)
    names = groups or [f"g{index}" for index in range(len(table))]
    classes = classes or [str(index) for index in range(table.shape[1])]
    return GroupCounts((attribute,), tuple((name,) for name in names), tuple(classes), table)


def binary(*groups):
    """Counts from (true positives, positives, false positives, negatives) per group."""
    return counts_of([[[n0 - fp, fp], [n1 - tp, tp]] for tp, n1, fp, n0 in groups])


def paired_of(table):
    """PairedCounts of one attribute from [groups][labels][reference][candidate]."""
    table = np.asarray(table, dtype=np.int64)
    return PairedCounts(("sex",), tuple((f"g{index}",) for index in range(len(table))), ("0", "1"), table)


def policy(groups=2, **changes):
    """A policy for attribute `sex` with groups g0, g1, ..."""
    names = [f"g{index}" for index in range(groups)]
    return Policy.model_validate({"attributes": {"sex": {"groups": names}}} | changes)
