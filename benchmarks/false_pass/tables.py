"""Counts and policies of one attribute, as the audits of this folder judge them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from edgefair.decision.policy import Policy
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts

ATTRIBUTE = "group"
# How far beyond a threshold a model is that is unfair by as little as can be.
BEYOND = 1e-9


def policy(groups: int, **rules: Any) -> Policy:
    """A policy of that many groups, which judges cells of any size and asks for nothing else."""
    free = {"min_cell_rows": 1, "min_balanced_accuracy": 0.0, "max_eo_gap": 1.0}
    names = [str(index) for index in range(groups)]
    return Policy.model_validate({"attributes": {ATTRIBUTE: {"groups": names}}} | free | rules)


def counts_of(table: np.ndarray) -> GroupCounts:
    """Counts from [groups, labels, decisions]."""
    return GroupCounts((ATTRIBUTE,), *_names(table), table.astype(np.int64))


def paired_of(table: np.ndarray) -> PairedCounts:
    """Counts of two models from [groups, labels, reference decisions, candidate decisions]."""
    return PairedCounts((ATTRIBUTE,), *_names(table), table.astype(np.int64))


def within_sight(estimate: float, error: float, threshold: float, alpha: float) -> bool:
    """Whether the threshold is at least half as far above the estimate as a normal limit would be.

    No audit passes elsewhere, so most audits of small alpha need not be judged.

    Args:
        error: standard error of the estimate.
    """
    return bool(estimate + 0.5 * ndtri(1 - alpha) * error <= threshold)


def _names(table: np.ndarray) -> tuple[tuple[tuple[str], ...], tuple[str, ...]]:
    return tuple((str(index),) for index in range(len(table))), tuple(str(index) for index in range(table.shape[1]))
