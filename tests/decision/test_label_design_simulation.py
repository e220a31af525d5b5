"""A short form of `python -m benchmarks.false_pass --only stratified`: unfair models hardly pass, fair ones do."""

import numpy as np
import pytest

from benchmarks.false_pass.stratified import BEYOND, ONE_RATE, Design
from edgefair.probe.bundles.gates import ABSOLUTE, PAIRED

RUNS = 150


@pytest.mark.parametrize(
    ("design", "gate"),
    [
        (Design(0.2, 0.02, 0.8, 0.1, 800, pool=2000, more_fpr=0.1 + BEYOND), ONE_RATE["FPR"]),
        (Design(0.2, 0.1, 0.8, 0.1, 800, pool=2000, less_tpr=0.1 + BEYOND), ONE_RATE["TPR"]),
        (Design(0.2, 0.02, 0.8, 0.1, 800, pool=2000, flips=0.005, spoiled=0.1 + BEYOND), PAIRED),
    ],
)
def test_an_unfair_model_passes_with_alpha_at_most(design, gate):
    rng = np.random.default_rng(0)
    passed = sum(design.passes(rng, gate) for _ in range(RUNS))
    assert passed <= 0.05 * RUNS + 3 * np.sqrt(0.05 * 0.95 * RUNS)


def test_a_fair_model_passes_with_half_as_many_labels_as_random_rows_need():
    # Random rows: about 1,460 of each group (`random_rows`).
    design, rng = Design(0.2, 0.02, 0.8, 0.1, 730, pool=6000), np.random.default_rng(0)
    passed = sum(design.passes(rng, ABSOLUTE) for _ in range(RUNS))
    assert passed >= 0.8 * RUNS - 3 * np.sqrt(0.8 * 0.2 * RUNS)
