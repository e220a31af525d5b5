"""The bootstrap of the gap equals resampling the whole table at once, and holds little of it."""

import numpy as np
import pytest

from edgefair.measure import bootstrap
from edgefair.measure.counts import GroupCounts


def counts_of(table):
    groups = tuple((f"g{index}",) for index in range(len(table)))
    return GroupCounts(("a",), groups, tuple(str(k) for k in range(table.shape[1])), table.astype(np.int64))


def at_once(counts, seed, replicates):
    """The gaps of all replicates from one draw of the whole table, without those in which a cell is empty."""
    table = counts.table
    drawn = np.random.default_rng(seed).multinomial(counts.n, (table / counts.n).ravel(), size=replicates)
    drawn = drawn.reshape(replicates, *table.shape)
    rows = drawn.sum(axis=3, keepdims=True)
    defined = (rows > 0).all(axis=(1, 2, 3))
    return np.ptp(drawn[defined] / rows[defined], axis=1).max(axis=(1, 2))


@pytest.mark.parametrize(("groups", "classes", "rows"), [(2, 2, 3000), (5, 3, 4000), (3, 4, 300)])
@pytest.mark.parametrize("drawn", [1, 1000, 1 << 20])
def test_a_few_replicates_at_a_time_equal_all_at_once(monkeypatch, groups, classes, rows, drawn):
    monkeypatch.setattr(bootstrap, "DRAWN", drawn)
    rng = np.random.default_rng(rows)
    table = rng.multinomial(rows, rng.dirichlet(np.ones(groups * classes**2))).reshape(groups, classes, classes)
    table[:, 0, 1] = 0
    found = bootstrap.gap_bootstrap(counts_of(table), seed=3, replicates=500)
    gaps = at_once(counts_of(table), 3, 500)
    assert (found.lower, found.upper) == tuple(np.quantile(gaps, [0.025, 0.975]))
    assert found.undefined == 1 - len(gaps) / 500


def test_two_hundred_classes_are_resampled_in_little_memory():
    """10,000 whole tables of 2 x 200 x 200 would take 6 GB."""
    import tracemalloc

    label = np.repeat(np.arange(200), 100)
    decision = np.where(np.arange(len(label)) % 20 == 0, (label + 1) % 200, label)
    table = np.zeros((2, 200, 200))
    np.add.at(table, (np.arange(len(label)) % 2, label, decision), 1)
    tracemalloc.start()
    found = bootstrap.gap_bootstrap(counts_of(table), seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.gap == pytest.approx(0.1)
    assert peak < 100 << 20
