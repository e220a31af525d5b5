"""The interval of the gap in reports covers the true gap, 0 too, which a bootstrap's percentiles never do."""

import numpy as np
import pytest

from edgefair.decision.evidence import Evidence
from edgefair.decision.summary import gap_interval
from tests.decision.helpers_decision import counts_of, policy


@pytest.mark.parametrize("gap", [0.0, 0.05])
@pytest.mark.parametrize(("groups", "rows"), [(2, 100), (4, 100), (8, 400)])
def test_the_interval_of_the_gap_covers_it(groups, rows, gap):
    rng, rules, runs = np.random.default_rng(0), policy(groups), 300
    rates = np.tile([0.1, 0.8], (groups, 1))
    rates[0, 1] -= gap
    held = 0
    for _ in range(runs):
        x = rng.binomial(rows, rates)
        found = gap_interval(Evidence(counts_of(np.stack([rows - x, x], axis=2))), rules, "sex")
        held += found.lower <= gap <= found.upper
        assert found.lower <= found.value <= found.upper
    assert held / runs >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


def test_an_attribute_of_which_no_pair_has_rows_has_no_interval():
    table = counts_of([[[0, 0], [0, 0]], [[9, 1], [1, 9]]])
    assert gap_interval(Evidence(table), policy(), "sex") is None
