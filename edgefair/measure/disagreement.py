"""Where two devices decide the same rows differently, and for whom."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from edgefair.measure.flips import holm
from edgefair.measure.tables.columns import Coded


@dataclass(frozen=True)
class GroupDisagreement:
    """Rows of one group, and how many of them two devices decide differently.

    Attributes:
        p_holm: of Fisher's exact test, one-sided, that the group has a larger share of them than all other rows, after
            Holm's correction over all groups and pairs of devices; None where rows are alike (subjects), and in
            reports of before.
    """

    attribute: str
    group: str
    rows: int
    differing: int
    p_holm: float | None = None

    @property
    def share(self) -> float:
        """Share of the group's rows, 0..1."""
        return self.differing / self.rows


@dataclass(frozen=True)
class Origin:
    """The layer whose output two devices compute differently, from inputs that agree.

    Attributes:
        node: its name in the model's graph, or of its first output where it has none.
        operator: in ONNX's words.
        weight: name of the constant that it multiplies by or looks up in, by which a layer is known in training; None
            of a node without one.
        difference: the largest one in its output, as a share of that value's range in the rows that were looked at.
    """

    node: str
    operator: str
    weight: str | None
    difference: float


@dataclass(frozen=True)
class Disagreement:
    """Two devices on the same model file and rows.

    Attributes:
        rows: all of them.
        differing: those that the two decide differently.
        groups: by attribute and group, groups without rows left out.
        begins_in: the layer that it begins in; None where it was not looked for or not found, and in reports of before.
    """

    first: str
    second: str
    rows: int
    differing: int
    groups: tuple[GroupDisagreement, ...]
    begins_in: Origin | None = None

    @property
    def most(self) -> GroupDisagreement | None:
        """The group that the differences hit most: the one that chance explains least, else by share; None without."""
        hit = [group for group in self.groups if group.differing]
        return min(hit, key=lambda group: (1.0 if group.p_holm is None else group.p_holm, -group.share), default=None)


def disagreements(
    decisions: Mapping[str, NDArray[np.int64]], attributes: Mapping[str, Coded], *, tested: bool = True
) -> tuple[Disagreement, ...]:
    """Every pair of devices, in their order.

    Args:
        decisions: device -> int64 [rows].
        attributes: attribute -> its coded value in every row.
        tested: whether rows are independent, so that groups can be tested.
    """
    pairs = tuple(
        _pair(first, second, decisions[first] != decisions[second], attributes)
        for first, second in itertools.combinations(decisions, 2)
    )
    return _tested(pairs) if tested else pairs


def more_than_by_chance(differing: int, rows: int, all_differing: int, all_rows: int) -> float:
    """P(at least `differing` of a group's rows), if the differing rows are a random sample of all.

    Fisher's exact test, one-sided: the upper tail of the hypergeometric distribution (Fisher, JRSS 1935).
    """
    x = np.arange(differing, min(rows, all_differing) + 1)
    ways = _log_choose(rows, x) + _log_choose(all_rows - rows, all_differing - x)
    p = float(np.exp(logsumexp(ways) - _log_choose(all_rows, all_differing)))
    return min(1.0, p)


def _log_choose(n: int, k: NDArray[np.int64] | int) -> NDArray[np.float64]:
    if_possible = np.asarray(k) <= n
    return np.where(if_possible, gammaln(n + 1) - gammaln(np.add(k, 1)) - gammaln(np.maximum(n - k, 0) + 1), -np.inf)


def _tested(pairs: tuple[Disagreement, ...]) -> tuple[Disagreement, ...]:
    """The pairs with p of every group, after Holm's correction over all of them."""
    found = [
        more_than_by_chance(group.differing, group.rows, pair.differing, pair.rows)
        for pair in pairs
        for group in pair.groups
    ]
    adjusted = iter(holm(np.array(found)).tolist())
    return tuple(
        replace(pair, groups=tuple(replace(group, p_holm=next(adjusted)) for group in pair.groups)) for pair in pairs
    )


def _pair(first: str, second: str, differs: NDArray[np.bool_], attributes: Mapping[str, Coded]) -> Disagreement:
    groups = []
    for attribute, column in attributes.items():
        kept = column.codes >= 0
        size = len(column.values)
        rows, differing = (np.bincount(column.codes[part], minlength=size) for part in (kept, kept & differs))
        groups += [
            GroupDisagreement(attribute, value, int(n), int(k))
            for value, n, k in zip(column.values, rows, differing, strict=True)
            if n
        ]
    return Disagreement(first, second, len(differs), int(differs.sum()), tuple(groups))
