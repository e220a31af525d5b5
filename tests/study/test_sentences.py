import numpy as np
import pytest

from edgefair.study.contrasts import Contrast, Values, estimates
from edgefair.study.sentences import sentence, sentences


def estimate(d, *, response="gap", planned=True, collapsed=(), seeds=None):
    contrast = Contrast("int8 minus dense", "extent", (("a", 1.0), ("b", -1.0)), planned)
    cells = {("a", seed): value for seed, value in enumerate(d)} | {("b", seed): 0.0 for seed in range(len(d))}
    gone = frozenset(("a", seed) for seed in collapsed)
    (found,) = estimates([contrast], [Values(response, cells, gone)], range(seeds or len(d)))
    return found


def test_what_changes_nothing_is_bounded_and_never_by_zero():
    said = sentence(estimate([0.0] * 8))
    assert said == "int8 minus dense: gap +0.0 +- 0.0 points: no effect larger than 0.1 points."


def test_a_small_scatter_is_no_effect_larger_than_its_bound():
    found = estimate([0.001, -0.002, 0.002, -0.001, 0.0, 0.001, -0.001, 0.0])
    assert sentence(found) == "int8 minus dense: gap +0.0 +- 0.2 points: no effect larger than 0.1 points."
    assert found.bound <= 0.001


def test_an_effect_is_told_with_its_tests():
    said = sentence(estimate(np.array([5, 6, 7, 5, 6, 7, 6, 5]) / 100))
    assert said == "int8 minus dense: gap +5.9 +- 0.7 points: an effect (p < 0.001 after Holm, sign flips p 0.008)."


def test_an_effect_below_two_points_is_both():
    said = sentence(estimate(np.array([8, 9, 10, 9, 8, 10, 9, 9]) / 1000))
    assert "an effect (p" in said
    assert said.endswith("no larger than 1.0 points.")


@pytest.mark.parametrize("d", [[0.2, 0.21, 0.2], [0.0, 0.0, 0.0], [0.01, -0.02, 0.3]])
def test_three_seeds_claim_nothing(d):
    said = sentence(estimate(d))
    assert said.endswith("no claim at 2 points, 3 seeds of the 6 that one needs.")
    assert "effect" not in said


def test_wide_seeds_say_what_they_could_have_seen():
    said = sentence(estimate([0.1, -0.1, 0.05, -0.02, 0.08, -0.09, 0.03, 0.0]))
    assert "no claim at 2 points, 8 seeds can see 8." in said


def test_collapsed_and_missing_seeds_are_counted():
    said = sentence(estimate([0.05] * 9, collapsed=[0], seeds=11))
    assert said.endswith("(1 seed left out: collapsed; 2 seeds left out: without a number).")
    assert sentence(estimate([0.1], collapsed=[0])).startswith("int8 minus dense: gap has no number (1 seed left out")


def test_one_seed_has_no_interval():
    assert "in one seed, which has no interval: no claim at 2 points" in sentence(estimate([0.1]))


def test_what_was_sought_after_the_run_is_exploratory_and_a_candidate():
    said = sentence(estimate(np.array([5, 6, 7, 5, 6, 7, 6, 5]) / 100, planned=False))
    assert "a candidate to be tested on fresh seeds" in said
    assert said.endswith("(exploratory).")


def test_sizes_are_told_in_their_unit_and_without_points():
    said = sentence(estimate([-2e6 + step for step in range(8)], response="bytes"))
    assert said.startswith("int8 minus dense: size -2.0 +- 0.1 MB: an effect")
    assert "points" not in sentence(estimate([1e6, -1e6] * 4, response="bytes"))


def test_bounds_are_rounded_up_and_every_finding_is_told():
    rng = np.random.default_rng(0)
    found = [estimate(rng.normal(0, 0.004, 8)) for _ in range(30)]
    for item, said in zip(found, sentences(found), strict=True):
        if "larger than" in said:
            assert float(said.split("larger than ")[1].split()[0]) >= item.bound * 100 - 1e-9
