"""Rows of subjects: an unfair or useless model passes with at most alpha, whatever the subjects' sizes and likeness.

Subjects of equal, geometric or Pareto sizes, one of them with much of a cell, correlation of their rows (ICC) 0 to 0.9,
counted as people and as rows; subjects in both groups, with both labels, and who flip as one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.false_pass.scenario import Scenario
from benchmarks.false_pass.tables import ATTRIBUTE, BEYOND, policy
from edgefair.data.files.table import Categories
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.verdict import Outcome, Verdict
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts
from edgefair.probe.bundles.gates import ABSOLUTE, ACCURACY_DROP, FLOOR, GROUP_ACCURACY
from edgefair.workflow.measurement.design import design_of

TAU, SUBJECTS = 0.05, 300
COUNTED = ("people", "rows")
ICCS, SIZES, GIANTS, ALPHAS = (0.0, 0.1, 0.5, 0.9), ("equal", "geometric", "pareto"), (0.0, 0.2, 0.5, 0.9), (0.01, 0.05)
QUICK = ((0.1, "geometric", 0.5), (0.5, "equal", 0.2), (0.9, "pareto", 0.0), (0.9, "equal", 0.9))
RUNS, QUICK_RUNS = 2_000, 100
CLASSES = ("0", "1")
Rows = tuple[np.ndarray, ...]


def rates_of(rng: np.random.Generator, mean: float, icc: float, subjects: int) -> np.ndarray:
    """Own rates of subjects: Beta with that mean and correlation of two rows of a subject."""
    if icc == 0:
        return np.full(subjects, mean)
    strength = (1 - icc) / icc
    return rng.beta(mean * strength, (1 - mean) * strength, subjects)


def sizes_of(rng: np.random.Generator, sizes: str, giant: float, subjects: int) -> np.ndarray:
    """Rows of subjects; the first holds a share `giant` of all."""
    drawn = {
        "equal": lambda: np.full(subjects, 5),
        "geometric": lambda: rng.geometric(0.2, subjects),
        "pareto": lambda: np.minimum(np.ceil(rng.pareto(1.2, subjects) + BEYOND), 2000).astype(np.int64),
    }[sizes]()
    if giant:
        drawn[0] = max(drawn[0], int(giant / (1 - giant) * drawn[1:].sum()))
    return drawn


def decided(
    rules: Mapping[str, Any],
    group: np.ndarray,
    label: np.ndarray,
    decision: np.ndarray,
    who: np.ndarray,
    reference: np.ndarray | None = None,
) -> Verdict:
    """The verdict on rows of two groups, with the cells' least sizes as they are by default."""
    asked = policy(2, **{"min_cell_rows": None} | rules)
    sensitive = {ATTRIBUTE: Categories(("0", "1"), group.astype(np.int32))}
    subject = Categories(tuple(map(str, range(who.max() + 1))), who.astype(np.int32))
    design = design_of(
        asked, subject=subject, sensitive=sensitive, label=label, decision=decision, reference=reference, classes=2
    )
    counts = GroupCounts.from_rows(sensitive, label=label, decision=decision, classes=CLASSES)
    paired = reference
    if reference is not None:
        paired = PairedCounts.from_rows(
            sensitive, label=label, reference=reference, candidate=decision, classes=CLASSES
        )
    return decide(Evidence(counts=counts, paired=paired, design=design), asked)


def unfair_rows(rng: np.random.Generator, icc: float, sizes: str, giant: float, tpr: float = 0.995) -> Rows:
    """TPR of group 0 lower by a little more than tau, FPR 0: rows of 300 subjects in each of the four cells."""
    parts, first = [], 0
    for group, label, rate in ((0, 1, tpr - TAU - BEYOND), (1, 1, tpr), (0, 0, 0.0), (1, 0, 0.0)):
        n = sizes_of(rng, sizes, giant, SUBJECTS) if label else np.full(SUBJECTS, 2)
        own = rates_of(rng, rate, icc, SUBJECTS) if label else np.zeros(SUBJECTS)
        who = np.repeat(np.arange(SUBJECTS), n)
        event = (rng.random(len(who)) < own[who]).astype(np.int64)
        parts.append((np.full(len(who), group), np.full(len(who), label), event, who + first))
        first += SUBJECTS
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def rows_in_both_groups(rng: np.random.Generator) -> Rows:
    """Whoever is overlooked in group 0 is seen in group 1: what the two rates err by adds up."""
    u = rng.random(500)
    seen = (u < 0.85, u > 0.10 - BEYOND)
    who, label = np.tile(np.arange(500), 4), np.repeat([1, 1, 0, 0], 500)
    return np.repeat([0, 1, 0, 1], 500), label, np.concatenate([*seen, np.zeros(1000)]).astype(np.int64), who


def rows_with_both_labels(rng: np.random.Generator) -> Rows:
    """A subject is decided rightly on both labels or on none: accuracy of group 0 a little less than 0.8."""
    right = np.concatenate([rng.random(200) < 0.8 - BEYOND, np.ones(200, dtype=bool)])
    who, label = np.repeat(np.arange(400), 2), np.tile([0, 1], 400)
    return np.repeat([0, 1], 400), label, np.where(right[who], label, 1 - label), who


def rows_that_flip(rng: np.random.Generator) -> Rows:
    """A subject's rows flip as one: accuracy is lost by a little more than tau."""
    who, label = np.repeat(np.arange(600), 4), np.tile([0, 1], 1200)
    flip = np.where(rng.random(600) < 0.10 + BEYOND, 1, np.where(rng.random(600) < 0.05 / 0.9, -1, 0))[who]
    before, after = np.where(flip < 0, 1 - label, label), np.where(flip > 0, 1 - label, label)
    return np.arange(2400) // 1200, label, after, who, before


def passes(
    rules: Mapping[str, Any], gate: str, rows: Callable[[np.random.Generator], Rows], rng: np.random.Generator
) -> bool:
    """Whether a gate passes rows that it must not."""
    return decided(rules, *rows(rng)).gate(gate).outcome is Outcome.PASS


def scenarios(quick: bool) -> Iterator[Scenario]:
    """Every size and likeness, counted either way; then subjects in several cells."""
    runs = QUICK_RUNS if quick else RUNS
    shapes = QUICK if quick else tuple(itertools.product(ICCS, SIZES, GIANTS))
    for shape, counted, alpha in itertools.product(shapes, COUNTED, ALPHAS[-1:] if quick else ALPHAS):
        icc, sizes, giant = shape
        rules = {"subject_weights": counted, "max_eo_gap": TAU, "alpha": alpha}
        run = partial(passes, rules, ABSOLUTE, lambda rng, shape=shape: unfair_rows(rng, *shape))
        name = f"{counted}, alpha {alpha:g}, ICC {icc:g}, {sizes} sizes, a subject with {giant:.0%}"
        yield Scenario(name, alpha, None, runs, run)
    for alpha in ALPHAS:
        several: tuple[tuple[str, str, dict[str, float], Callable[[np.random.Generator], Rows]], ...] = (
            ("in both groups", ABSOLUTE, {"max_eo_gap": TAU}, rows_in_both_groups),
            ("both labels, balanced floor", FLOOR, {"min_balanced_accuracy": 0.8}, rows_with_both_labels),
            ("both labels, accuracy floor", GROUP_ACCURACY, {"min_group_accuracy": 0.8}, rows_with_both_labels),
            ("flip as one", ACCURACY_DROP, {"max_accuracy_drop": TAU}, rows_that_flip),
        )
        for name, gate, rules, rows in several:
            run = partial(passes, {**rules, "alpha": alpha}, gate, rows)
            yield Scenario(f"subjects {name}, alpha {alpha:g}", alpha, None, runs, run)
