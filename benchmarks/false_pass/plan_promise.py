"""The rows that `plan` and a verdict ask for: does the whole verdict pass with them as often as promised?

The event is the promised PASS; fresh audits of the model that was planned for are drawn here and judged by `decide`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.false_pass.scenario import Scenario
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Outcome
from edgefair.measure.counts import GroupCounts
from edgefair.measure.paired import PairedCounts
from edgefair.measure.planning import assumed_decisions, with_reference
from edgefair.probe.bundles.gates import ABSOLUTE
from edgefair.workflow.planning.chances import Chances
from edgefair.workflow.planning.simulated_audits import Assumed, EqualCells, OwnRows

FPR, TPR, FLIPS = 0.1, 0.8, 0.01
PROMISED, WITHIN = 0.8, 0.05
CLASSES = ("0", "1")
SEX = {"sex": {"groups": ["f", "m"]}}
BOTH = {**SEX, "race": {"groups": ["p", "q", "r"]}}
POLICIES = {
    "one attribute": {"attributes": SEX},
    "two attributes": {"attributes": BOTH},
    "an intersection": {"attributes": {**BOTH, "sex*race": {"max_eo_gap": 0.08}}},
    "at least 3,000 rows": {"attributes": SEX, "min_cell_rows": 3000},
    "alpha 0.001": {"attributes": SEX, "alpha": 0.001},
    "many gates": {
        "attributes": BOTH,
        "max_eo_increase": 0.02,
        "max_accuracy_drop": 0.01,
        "max_group_accuracy_drop": 0.02,
        "max_excess_loss": 0.02,
        "min_group_accuracy": 0.8,
        "metrics": {"demographic_parity_difference": 0.05, "accuracy_difference": 0.05},
    },
}


def scenarios(quick: bool) -> Iterator[Scenario]:
    """Rows asked for by a verdict (2 to 16 groups) and by a plan (several policies, true gaps, and proportions)."""
    runs = 100 if quick else 2000
    for groups, gap in product((2, 4) if quick else (2, 4, 8, 16), (0.0, 0.02)):
        name = f"a verdict's rows: {groups} groups, gap {gap:g}"
        yield Scenario(name, None, PROMISED - WITHIN, runs, partial(_verdicts_rows, groups, gap))
    for name, gap in product(("two attributes", "many gates") if quick else POLICIES, (0.0,) if quick else (0.0, 0.02)):
        for own in (False, True):
            rows = "times the rows" if own else "rows in every cell"
            run = partial(_planned_rows, name, gap, own)
            yield Scenario(f"a plan's {rows}: {name}, gap {gap:g}", None, PROMISED - WITHIN, runs, run)


def _verdicts_rows(groups: int, gap: float, rng: np.random.Generator) -> bool:
    """Whether the gap's gate passes with the rows that a verdict on few rows asked for, at the rates of these."""
    policy, rates = _policy_of(groups), np.tile([FPR, TPR], (groups, 1))
    rates[-1, 1] -= gap
    n = _asked(groups, gap)
    x = rng.binomial(n, rates)
    return decide(_counts(np.stack([n - x, x], axis=2)), policy).gate(ABSOLUTE).outcome is Outcome.PASS


@cache
def _asked(groups: int, gap: float) -> int:
    pilot = np.tile([[900, 100], [200, 800]], (groups, 1, 1))
    pilot[-1, 1] += np.array([1, -1]) * round(1000 * gap)
    needed = decide(_counts(pilot), _policy_of(groups)).gate(ABSOLUTE).binding
    assert needed is not None
    assert needed.rows_needed is not None
    return needed.rows_needed


def _planned_rows(name: str, gap: float, own: bool, rng: np.random.Generator) -> bool:
    """Whether the whole verdict passes with the rows that a plan asked for."""
    policy = Policy.model_validate(POLICIES[name])
    rows = _planned(name, gap, own)
    hardest, worse = _hardest(policy)
    table = np.empty((*rows.shape, 2, 2), dtype=np.int64)
    for (index, group), label in product(enumerate(policy.joint_groups), (0, 1)):
        part = tuple(group[policy.base_attributes.index(item)] for item in policy.attributes_of(hardest))
        rate = (FPR, TPR)[label] - gap * (part == worse)
        shares = [1 - rate - FLIPS / 2, FLIPS / 2, FLIPS / 2, rate - FLIPS / 2]
        table[index, label] = rng.multinomial(rows[index, label], shares).reshape(2, 2)
    paired = PairedCounts(policy.base_attributes, policy.joint_groups, CLASSES, table)
    return decide(Evidence(counts=paired.candidate, paired=paired), policy).outcome is Outcome.PASS


@cache
def _planned(name: str, gap: float, own: bool) -> NDArray[np.int64]:
    """Rows of joint groups and labels that a plan asks for."""
    policy = Policy.model_validate(POLICIES[name])
    chances = Chances(policy, np.random.default_rng(1))
    model = Assumed(_hardest(policy), with_reference(assumed_decisions(TPR, FPR, 2, gap), FLIPS))
    start = np.random.default_rng(2).integers(300, 900, size=(len(policy.joint_groups), 1)).repeat(2, axis=1)
    counts = GroupCounts(policy.base_attributes, policy.joint_groups, CLASSES, np.stack([start, 0 * start], axis=2))
    equal = EqualCells(policy, CLASSES)
    if own:
        size = chances.size(OwnRows(policy, counts), model, guess=3, least=0.1, most=1000, trials=400)
        return np.rint(start * (size or np.nan)).astype(np.int64)
    size = chances.size(equal, model, guess=2000, least=52, most=1e6, trials=400)
    return np.full_like(start, np.ceil((size or np.nan) / equal.members))


def _hardest(policy: Policy) -> tuple[str, tuple[str, ...]]:
    name = list(policy.attributes)[-1]
    return name, policy.groups(name)[-1]


def _policy_of(groups: int) -> Policy:
    return Policy.model_validate({"attributes": {"sex": {"groups": [f"g{index:02}" for index in range(groups)]}}})


def _counts(table: NDArray[np.int64]) -> GroupCounts:
    return GroupCounts(("sex",), tuple((f"g{index:02}",) for index in range(len(table))), CLASSES, table)
