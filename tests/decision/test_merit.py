"""What a search chooses by: every gate, floors before gaps, and no luck among many tries."""

import numpy as np
import pytest

from edgefair.decision.choosing.merit import best_of, merit
from edgefair.decision.policy import Policy
from edgefair.measure.counts import GroupCounts

POLICY = Policy(
    max_eo_gap=0.1,
    min_balanced_accuracy=0.6,
    metrics={"demographic_parity_difference": 0.2},
    attributes={"sex": {"groups": ["F", "M"]}},
)


def counts(*groups):
    """Rows by group: (label 0 decided 0, 0 decided 1, 1 decided 0, 1 decided 1)."""
    table = np.array(groups, dtype=np.int64).reshape(len(groups), 2, 2)
    return GroupCounts(("sex",), (("F",), ("M",)), ("no", "yes"), table)


FAIR = counts((800, 200, 200, 800), (810, 190, 190, 810))
SKEWED = counts((800, 200, 200, 800), (4000, 1000, 100, 400))
ACCURATE = counts((960, 40, 200, 800), (990, 10, 20, 980))
USELESS = counts((500, 500, 500, 500), (500, 500, 500, 500))


def test_every_gate_counts_and_a_floor_before_a_gap():
    merits = [merit(item, POLICY, aim=0.8) for item in (USELESS, ACCURATE, FAIR)]
    assert [item.rank[0] for item in merits] == [0, 1, 2]
    assert best_of(merits) == 2
    parity = next(gate for gate in merit(SKEWED, POLICY, aim=0.8).gates if gate.gate == "demographic_parity_difference")
    assert not parity.kept
    assert parity.lacking == pytest.approx(0.5 - 1400 / 5500 - 0.8 * 0.2)


def test_what_is_picked_among_many_must_be_shown_by_wider_limits():
    first, picked = (merit(FAIR, POLICY, aim=0.8, tries=tries) for tries in (1, 50))
    assert first.shown
    few = counts((160, 40, 40, 160), (162, 38, 38, 162))
    assert merit(few, POLICY, aim=0.8, tries=1).shown
    assert not merit(few, POLICY, aim=0.8, tries=50).shown
    assert picked.kept
