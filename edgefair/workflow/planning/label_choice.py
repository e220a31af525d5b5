"""How many audit rows of which scores to label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.data.groups import joint_groups
from edgefair.data.label_design import DesignStratum, id_hashes
from edgefair.data.rows import TableRows
from edgefair.decision.cells import compared
from edgefair.decision.policy import Policy
from edgefair.errors import DataError
from edgefair.joint import Group, group_name
from edgefair.measure.bounds import Array
from edgefair.measure.labels.allocation import (
    LEAST,
    RANGES,
    UNSCORED,
    Wanted,
    allocate,
    costs,
    doubted,
    least_budget,
    stratify,
)

Whole = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scored:
    """What a model says of every row: decisions int64 [rows], P(label) float64 [rows, labels] if it gives scores."""

    sha256: str
    decision: Whole
    score: Array | None


@dataclass(frozen=True, eq=False)
class Chosen:
    """Strata, the stratum of every row int64 [rows], and cells that will lack labelled rows, in words."""

    strata: list[DesignStratum]
    stratum: Whole
    lacking: tuple[str, ...]


def choose(policy: Policy, rows: TableRows, classes: tuple[str, ...], scored: Scored, budget: int) -> Chosen:
    """The strata, and how many rows of each.

    Raises:
        DataError: a budget that is too small for the strata, or larger than the rows.
    """
    if budget > len(rows):
        raise DataError(
            f"{budget:,} labels are planned for {len(rows):,} audit rows", expected="no more than there are"
        )
    group, groups = joint_groups(rows.sensitive, policy.base_attributes)
    labels = len(classes)
    decided = np.arange(labels) == scored.decision[:, None]
    unscored = np.where(decided, UNSCORED, (1 - UNSCORED) / (labels - 1))
    probability = doubted(unscored if scored.score is None else scored.score)
    own = probability[np.arange(len(rows)), scored.decision]
    stratum = _strata(group * labels + scored.decision, own, id_hashes(rows), budget)
    sizes = np.bincount(stratum).astype(np.int64)
    first = np.unique(stratum, return_index=True)[1]
    decision, of = scored.decision[first], group[first]
    share = np.zeros((len(sizes), labels))
    np.add.at(share, stratum, probability / sizes[stratum][:, None])
    wanted = _wanted(policy, groups, of, classes)
    cost = costs(sizes, share, decision, wanted)
    chosen = allocate(cost, sizes, budget)
    spread = own if scored.score is None else scored.score[np.arange(len(rows)), scored.decision]
    strata = [
        DesignStratum(
            group=list(groups[of[at]]),
            decision=classes[decision[at]],
            scores=None if scored.score is None else _range(spread[stratum == at]),
            rows=int(sizes[at]),
            chosen=int(chosen[at]),
            probability=int(chosen[at]) / int(sizes[at]),
        )
        for at in range(len(sizes))
    ]
    return Chosen(strata, stratum, _lacking(policy, wanted, chosen[:, None] * share, classes))


def _strata(cell: Whole, probability: Array, ids: NDArray[np.uint64], budget: int) -> Whole:
    """Ranges of scores as many as leave half of the budget to choose with, if one is not too many already."""
    for ranges in range(RANGES, 0, -1):
        stratum = stratify(cell, probability, ids, ranges=ranges)
        least = least_budget(np.bincount(stratum))
        if 2 * least <= budget or (ranges == 1 and least <= budget):
            return stratum
    raise DataError(
        f"a budget of {budget:,} labels is too small: {least:,} are needed at least",
        expected=f"{LEAST} labels for the rows of every group that the model decides alike",
        fix=f"plan with --label-budget {least} or more, or judge fewer attributes at once",
    )


def _wanted(policy: Policy, groups: tuple[Group, ...], of: Whole, classes: tuple[str, ...]) -> list[Wanted]:
    """The rates of every declared group; `of` is the joint group of every stratum."""
    found = []
    for name in policy.attributes:
        at = [policy.base_attributes.index(item) for item in policy.attributes_of(name)]
        projected = [tuple(group[index] for index in at) for group in groups]
        for declared in policy.groups(name):
            members = np.array([projected[index] == declared for index in of])
            found += [
                Wanted(members, label, decision, max(policy.threshold(name), 1e-6), f"{name} {group_name(declared)}")
                for label in range(len(classes))
                for decision in compared(classes)
            ]
    return found


def _lacking(policy: Policy, wanted: list[Wanted], expected: Array, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Cells that will have fewer labelled rows than they need, if the scores are right.

    Args:
        expected: labelled rows by label, float64 [strata, labels].
    """
    found = {}
    for item in wanted:
        rows, least = float(expected[item.members, item.label].sum()), policy.cell_rows(item.threshold)
        if rows < least:
            what = f"'{item.name}' will have about {rows:.0f} labelled rows with label '{classes[item.label]}'"
            found[item.name, item.label] = f"{what}, {least} are needed"
    return tuple(found.values())


def _range(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())
