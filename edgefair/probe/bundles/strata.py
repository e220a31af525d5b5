"""What a report says of rows that a label design chose: how many there are, and what is estimated of them."""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np


def audited_rows(strata: Mapping[str, Any]) -> int:
    """Rows of all strata, labelled or not."""
    return int(np.asarray(strata["rows"]).sum())


def decided_classes(strata: Mapping[str, Any]) -> int:
    """How many classes are decided of some row."""
    return len(np.unique(np.asarray(strata["candidate"])[np.asarray(strata["rows"]) > 0]))


def labelled_table(strata: Mapping[str, Any]) -> np.ndarray:
    """Labelled rows, int64 [groups, labels, decisions]."""
    return _table(strata, np.asarray(strata["labelled"])).astype(np.int64)


def estimated_table(strata: Mapping[str, Any]) -> np.ndarray:
    """Estimated numbers of rows, float64 [groups, labels, decisions]: as many as there are, by their share of labels.

    Of rows without a labelled one among those of their stratum and decisions: by the labels of the whole stratum.
    """
    labelled, stratum = np.asarray(strata["labelled"]), np.asarray(strata["stratum"])
    of_stratum = np.zeros((int(stratum.max()) + 1, labelled.shape[1]))
    np.add.at(of_stratum, stratum, labelled)
    found = np.where(labelled.any(axis=1, keepdims=True), labelled, of_stratum[stratum])
    share = found / np.maximum(found.sum(axis=1, keepdims=True), 1)
    return _table(strata, np.asarray(strata["rows"])[:, None] * share)


def _table(strata: Mapping[str, Any], numbers: np.ndarray) -> np.ndarray:
    labels = len(strata["classes"])
    found = np.zeros((len(strata["groups"]), labels, labels))
    for group, decision, row in zip(strata["group"], strata["candidate"], numbers):
        found[group, :, decision] += row
    return found
