"""Label designs: rows chosen within strata of scores pass an unfair model with at most alpha, and need fewer labels.

Scores are normal, with another mean for the positive label; the model decides by a threshold, and its scores are as
well calibrated as a design may hope for. One rate of the last group is beyond the threshold, and all else is fair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from benchmarks.false_pass.scenario import Scenario
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Outcome
from edgefair.measure.bounds import absolute, clopper_pearson, mover
from edgefair.measure.labels.allocation import RANGES, Wanted, allocate, costs, doubted, stratify
from edgefair.measure.labels.strata import Strata
from edgefair.probe.bundles.gates import ABSOLUTE, PAIRED

# The gate that an unfair rate alone decides: beside it the gap would seldom pass.
ONE_RATE = {"FPR": "false_positive_rate_difference", "TPR": "equal_opportunity_difference"}
# A hair beyond the threshold.
BEYOND = 1e-9
POWER = 0.8
# Labels that random rows need, times less than which a design does with, by the false-positive rate.
FEWER = {0.02: 2.0, 0.1: 1.35}
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Design:
    """An audit with a label design.

    Attributes:
        base: share of the positive label.
        fpr, tpr: of all groups but the last.
        more_fpr, less_tpr: by which the last differs.
        pool: audit rows of each group.
        labels: of them that are labelled, in each group.
        flips: share of the decisions that compression changes at random, everywhere.
        spoiled: share of the positive rows of the last group that compression decides otherwise.
    """

    base: float
    fpr: float
    tpr: float
    threshold: float
    labels: int
    groups: int = 2
    pool: int = 6000
    more_fpr: float = 0.0
    less_tpr: float = 0.0
    flips: float = 0.0
    spoiled: float = 0.0
    alpha: float = 0.05
    _sizes: dict[int, Ints] = field(default_factory=dict, compare=False)

    def passes(self, rng: np.random.Generator, gate: str) -> bool:
        """Whether a gate passes once."""
        verdict = decide(self.evidence(rng), self.policy)
        return verdict.gate(gate).outcome is Outcome.PASS

    @property
    def policy(self) -> Policy:
        """For these groups."""
        groups = [str(index) for index in range(self.groups)]
        # Cells are not kept from judging by few rows: the limits alone have to hold.
        keys = {"max_eo_gap": self.threshold, "max_eo_increase": self.threshold, "min_cell_rows": 1}
        metrics = dict.fromkeys(ONE_RATE.values(), self.threshold)
        attributes = {"g": {"groups": groups}}
        return Policy.model_validate({"alpha": self.alpha, "attributes": attributes, "metrics": metrics, **keys})

    def evidence(self, rng: np.random.Generator) -> Evidence:
        """One audit: rows are drawn, scored, chosen and labelled."""
        parts = [self._group(rng, last=index == self.groups - 1) for index in range(self.groups)]
        label, decision, score = (np.concatenate([part[at] for part in parts]) for at in range(3))
        group = np.repeat(np.arange(self.groups), self.pool)
        order = rng.permutation(len(group)).astype(np.uint64)
        probability = doubted(np.stack([1 - score, score], axis=1))
        own = probability[np.arange(len(group)), decision]
        stratum = stratify(group * 2 + decision, own, order, ranges=RANGES)
        sizes = np.bincount(stratum)
        chosen = np.minimum(self._allocated(stratum, sizes, group, decision, probability), sizes)
        rank = _rank(stratum, rng)
        known = np.where(rank < chosen[stratum], label, -1)
        candidate = self._compressed(rng, label, decision, group) if self.flips or self.spoiled else None
        strata = Strata.of(
            attributes=("g",),
            groups=tuple((str(index),) for index in range(self.groups)),
            classes=("no", "yes"),
            stratum=stratum,
            group=group,
            candidate=decision if candidate is None else candidate,
            reference=decision if candidate is not None else None,
            label=known,
        )
        own_reference = candidate is None
        return Evidence(strata.counts(), strata.paired(), strata=strata, own_reference=own_reference)

    def _group(self, rng: np.random.Generator, *, last: bool) -> tuple[Ints, Ints, NDArray[np.float64]]:
        """Labels, decisions and scores of the rows of one group; the model does not know that the last is another."""
        fpr, tpr = self.fpr + last * self.more_fpr, self.tpr - last * self.less_tpr
        label = (rng.random(self.pool) < self.base).astype(np.int64)
        mean = float(ndtri(1 - self.fpr) - ndtri(1 - self.tpr))
        at = float(ndtri(1 - self.fpr))
        moved = np.where(label == 1, at - float(ndtri(1 - tpr)), at - float(ndtri(1 - fpr)))
        value = rng.normal(size=self.pool) + moved
        score = expit(mean * value - mean**2 / 2 + np.log(self.base / (1 - self.base)))
        return label, (value >= at).astype(np.int64), score

    def _compressed(self, rng: np.random.Generator, label: Ints, decision: Ints, group: Ints) -> Ints:
        """Decisions after compression: some flip at random, and of the last group's right positive ones more."""
        flipped = rng.random(len(label)) < self.flips
        lost = (group == self.groups - 1) & (label == 1) & (decision == 1)
        # The change of TPR by random flips is the same in all groups, so that the others alone make a difference.
        lost &= rng.random(len(label)) < self.spoiled / (self.tpr * (1 - 2 * self.flips))
        found: Ints = np.where(flipped ^ lost, 1 - decision, decision)
        return found

    def _allocated(
        self, stratum: Ints, sizes: Ints, group: Ints, decision: Ints, probability: NDArray[np.float64]
    ) -> Ints:
        """Rows to label of every stratum, by the first audit of as many strata: any choice is valid."""
        if len(sizes) not in self._sizes:
            first = np.unique(stratum, return_index=True)[1]
            share = np.zeros((len(sizes), 2))
            np.add.at(share, stratum, probability / sizes[stratum][:, None])
            wanted = [
                Wanted(group[first] == at, label, 1, self.threshold) for at in range(self.groups) for label in (0, 1)
            ]
            cost = costs(sizes, share, decision[first], wanted)
            self._sizes[len(sizes)] = allocate(cost, sizes, self.labels * self.groups)
        return self._sizes[len(sizes)]


def _rank(stratum: Ints, rng: np.random.Generator) -> Ints:
    """Position of every row in a random order of its stratum."""
    order = np.lexsort((rng.random(len(stratum)), stratum))
    counts = np.bincount(stratum)
    found = np.empty(len(stratum), dtype=np.int64)
    found[order] = np.arange(len(stratum)) - np.repeat(np.cumsum(counts) - counts, counts)
    return found


@cache
def random_rows(base: float, fpr: float, tpr: float, threshold: float, alpha: float = 0.05) -> int:
    """Labels of each of two groups with which a fair model passes with 80 % if rows are labelled at random.

    By MOVER's limits, which the exact test only widens: no more than are really needed.
    """
    rng = np.random.default_rng(0)
    low, high = 50, 100_000
    while high > 1.01 * low:
        rows = int(np.sqrt(low * high))
        power = np.mean(
            np.logical_and.reduce(
                [_within(rng, n, rate, threshold, alpha) for n, rate in ((rows * (1 - base), fpr), (rows * base, tpr))]
            )
        )
        low, high = (low, rows) if power >= POWER else (rows, high)
    return high


def _within(rng: np.random.Generator, rows: float, rate: float, threshold: float, alpha: float) -> NDArray[np.bool_]:
    n = int(rows)
    x = rng.binomial(n, rate, size=(2, 2000))
    lower, upper = clopper_pearson(x, np.full_like(x, n), alpha)
    limits = absolute(*mover(x[0] / n, lower[0], upper[0], x[1] / n, lower[1], upper[1]))
    found: NDArray[np.bool_] = limits[2] <= threshold
    return found


def scenarios(quick: bool) -> Iterator[Scenario]:
    """False PASS of the gap and of the paired gate, and labels needed."""
    runs = 150 if quick else 2000
    shapes = [(0.02, 0.2), (0.1, 0.2), (0.02, 0.5), (0.1, 0.05)]
    for fpr, base in shapes[: 2 if quick else None]:
        for groups in (2, 4):
            for labels in (400, 1500):
                for what, gate in ONE_RATE.items():
                    gap = 0.05 + BEYOND
                    unfair = {"more_fpr": gap} if what == "FPR" else {"less_tpr": gap}
                    design = Design(base, fpr, 0.8, 0.05, labels, groups, **unfair)
                    name = f"stratified, FPR {fpr}, base {base}, {groups} groups, {labels} labels, {what}"
                    yield Scenario(name, design.alpha, None, runs, lambda rng, d=design, g=gate: d.passes(rng, g))
    for labels, flips in ((400, 0.005), (1500, 0.005), (1500, 0.05)):
        design = Design(0.2, 0.02, 0.8, 0.05, labels, flips=flips, spoiled=0.05 + BEYOND)
        name = f"stratified, paired, {flips:.1%} flips, {labels} labels"
        yield Scenario(name, design.alpha, None, runs, lambda rng, d=design: d.passes(rng, PAIRED))
    for fpr, times in FEWER.items():
        labels = int(random_rows(0.2, fpr, 0.8, 0.05) / times)
        design = Design(0.2, fpr, 0.8, 0.05, labels, pool=12_000)
        name = f"stratified, fair, FPR {fpr}: {labels} labels a group, {times:g} times fewer than random rows need"
        yield Scenario(name, None, POWER, runs, lambda rng, d=design: d.passes(rng, ABSOLUTE))
