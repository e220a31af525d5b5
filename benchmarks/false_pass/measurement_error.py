"""Labels and groups that are recorded wrongly: once that is declared, an unfair model passes at most with alpha."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from benchmarks.false_pass.scenario import Scenario
from edgefair.decision.decide import decide
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Outcome
from edgefair.measure.counts import GroupCounts
from edgefair.probe.bundles.gates import ABSOLUTE

ALPHA, ROWS = 0.05, 6000
FPR, TPR = 0.1, 0.8


def scenarios(quick: bool) -> Iterator[Scenario]:
    """The audit's case without and with a declaration, then the worst mixtures at the threshold; FAIL at the same."""
    runs = 300 if quick else 3000
    blind = _policy(2, 0.05)
    told = _policy(2, 0.05, attributes={"sex": 0.2})
    yield Scenario("gap 0.07, groups 20 % wrong, not declared", None, 0.15, runs, _audit(blind, _mixed(2, 0.07, 0.2)))
    yield Scenario("gap 0.07, groups 20 % wrong, declared", ALPHA, None, runs, _audit(told, _mixed(2, 0.07, 0.2)))
    for groups, wrong, threshold in product((2, 3, 8), (0.02, 0.2), (0.05, 0.1)):
        rules = _policy(groups, threshold, attributes={"sex": wrong})
        name = f"{groups} groups, {wrong:.0%} wrong, gap at {threshold}"
        yield Scenario(name, ALPHA, None, runs, _audit(rules, _mixed(groups, threshold, wrong)))
    for wrong, rows in product((0.02, 0.1), (200, 1000)):
        name = f"{wrong:.0%} wrong, found by a check of {rows} rows a cell, gap at 0.1"
        yield Scenario(name, ALPHA, None, runs, _checked(0.1, wrong, rows))
    for wrong, threshold in product((0.005, 0.02), (0.05, 0.1)):
        rules = _policy(2, threshold, labels=wrong)
        name = f"labels {wrong:.1%} wrong, gap at {threshold}"
        yield Scenario(name, ALPHA, None, runs, _audit(rules, _mislabelled(threshold, wrong, hides=True)))
        name = f"{name}, FAIL"
        unfair = _mislabelled(threshold, wrong, hides=False)
        yield Scenario(name, ALPHA, None, runs, _audit(rules, unfair, Outcome.FAIL))


def _checked(threshold: float, wrong: float, rows: int) -> Callable[[np.random.Generator], bool]:
    """Groups are wrong as often in every cell, which a check of so many rows of each finds anew in every audit."""

    def run(rng: np.random.Generator) -> bool:
        found = [{str(y): int(rng.binomial(rows, wrong)) for y in range(2)} for _ in range(2)]
        cells = {
            f"g{g}": {y: {"checked": rows, "wrong_group": hits, "wrong_label": 0} for y, hits in row.items()}
            for g, row in enumerate(found)
        }
        rules = _policy(2, threshold, audited={"cells": {"sex": cells}})
        return _audit(rules, _mixed(2, threshold, wrong))(rng)

    return run


def _policy(groups: int, threshold: float, **errors: object) -> Policy:
    names = [f"g{index}" for index in range(groups)]
    return Policy.model_validate(
        {"attributes": {"sex": {"groups": names}}, "max_eo_gap": threshold, "alpha": ALPHA, "errors": errors}
    )


def _mixed(groups: int, gap: float, wrong: float) -> np.ndarray:
    """Recorded rates [groups, labels] where the wrong rows of the two extreme groups are each other's."""
    rates = np.tile([FPR, TPR - gap / 2], (groups, 1))
    rates[0, 1], rates[-1, 1] = TPR, TPR - gap
    return np.asarray((1 - wrong) * rates + wrong * rates[::-1])


def _mislabelled(gap: float, wrong: float, *, hides: bool) -> np.ndarray:
    """Recorded rates where one group alone has wrong labels: rows with label 1 that are decided as those with 0 are."""
    rates = np.array([[FPR, TPR], [FPR, TPR - gap]])
    of = 0 if hides else 1
    rates[of, 1] = (1 - wrong) * rates[of, 1] + wrong * rates[of, 0]
    return rates


def _audit(policy: Policy, rates: np.ndarray, event: Outcome = Outcome.PASS) -> Callable[[np.random.Generator], bool]:
    groups = tuple((name,) for name in policy.group_names("sex"))

    def run(rng: np.random.Generator) -> bool:
        x = rng.binomial(ROWS, rates)
        counts = GroupCounts(("sex",), groups, ("0", "1"), np.stack([ROWS - x, x], axis=2))
        return decide(counts, policy).gate(ABSOLUTE).outcome is event

    return run
