import numpy as np
import pytest
from scipy import stats

from edgefair.errors import DataError
from edgefair.study.table import Row
from edgefair.study.variance import cube, shares, sums_of_squares


@pytest.fixture
def y():
    return np.random.default_rng(0).normal(size=(6, 3, 4, 2))


def test_sums_of_squares_add_up(y):
    assert sum(sums_of_squares(y).values()) == pytest.approx(np.square(y - y.mean()).sum())


def test_two_levels_are_the_paired_t_test(y):
    pair = y[:, :2, 0, 0]
    (found,) = shares(pair, ["extent"])
    theirs = stats.ttest_rel(pair[:, 0], pair[:, 1])
    assert found.f == pytest.approx(theirs.statistic**2)
    assert found.p == pytest.approx(theirs.pvalue)


def test_a_block_design_is_worked_by_hand():
    """Three treatments in four blocks: the sums of a textbook, written out."""
    y = np.array([[9.0, 10, 12], [8, 11, 15], [7, 9, 11], [8, 10, 14]])
    (found,) = shares(y, ["treatment"])
    grand = y.mean()
    treatment = 4 * np.square(y.mean(axis=0) - grand).sum()
    block = 3 * np.square(y.mean(axis=1) - grand).sum()
    error = np.square(y - grand).sum() - treatment - block
    assert (found.ss, found.error_ss) == pytest.approx((treatment, error))
    assert (found.df, found.error_df) == (2, 6)
    assert found.partial == pytest.approx(treatment / (treatment + error))
    assert found.generalized == pytest.approx(treatment / (treatment + error + block))


def test_a_whole_plot_factor_is_tested_on_the_means_of_its_plots(y):
    """Which is the analysis of one value a plot: split plots within it are no new evidence."""
    found = {item.factors: item for item in shares(y, ["noise", "extent", "after"], whole=["noise"])}
    (plots,) = shares(y.mean(axis=(2, 3)), ["noise"])
    noise = found["noise",]
    assert noise.stratum == "whole"
    assert (noise.f, noise.p) == pytest.approx((plots.f, plots.p))
    assert noise.error_df == 5 * 2
    split = found["noise", "extent"]
    assert split.stratum == "split"
    assert split.error_df == 5 * (3 * 4 * 2 - 3)


def test_degrees_of_freedom_use_up_the_design(y):
    found = shares(y, ["noise", "extent", "after"], whole=["noise"])
    errors = {item.stratum: item.error_df for item in found}
    assert sum(item.df for item in found) + sum(errors.values()) + 5 == y.size - 1


def test_it_is_that_of_statsmodels(y):
    anova = pytest.importorskip("statsmodels.stats.anova", reason="statsmodels is not installed")
    pandas = pytest.importorskip("pandas")
    pair = y[:, :, :, 0]
    rows = [(s, a, b, pair[s, a, b]) for s, a, b in np.ndindex(pair.shape)]
    frame = pandas.DataFrame(rows, columns=["seed", "a", "b", "y"])
    theirs = anova.AnovaRM(frame, "y", "seed", within=["a", "b"]).fit().anova_table
    ss = sums_of_squares(pair)
    ours = (ss[1,] / 2) / (ss[0, 1] / 10)
    assert ours == pytest.approx(theirs["F Value"]["a"])


def test_intervals_hold_the_share_and_seeds_make_them_again():
    rng = np.random.default_rng(2)
    y = rng.normal(size=(8, 3, 2)) + np.array([0.0, 2.0, 4.0])[:, None]
    first, second = (shares(y, ["noise", "extent"], replicates=200, seed=4) for _ in range(2))
    assert first == second
    noise, extent, _ = first
    assert noise.interval[0] < noise.generalized < noise.interval[1]
    assert noise.generalized > 0.5 > extent.generalized


def test_what_never_varies_has_no_share_and_no_p():
    (found,) = shares(np.ones((4, 2)), ["extent"])
    assert found.f is found.p is found.partial is found.generalized is None


def test_without_an_effect_p_is_uniform():
    rng = np.random.default_rng(8)
    p = [shares(rng.normal(size=(8, 2, 3)), ["noise", "extent"], whole=["noise"])[0].p for _ in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 0.001


def design(hole=None):
    return [
        Row(study="s", plan="d", cell=f"{noise} {extent}; seed {seed}", condition=f"{noise} {extent}", seed=seed,
            status="done", noise=noise, extent=extent, gap=None if (noise, seed) == hole else seed + float(noise))
        for extent in ("none", "int8") for seed in (1, 0) for noise in ("0", "0.1")
    ]  # fmt: skip


def test_a_design_is_a_cube_and_one_with_holes_is_refused(y):
    values, levels = cube(design(), "gap", ["noise", "extent"])
    assert levels == {"noise": ("0", "0.1"), "extent": ("none", "int8")}
    assert values[1, 1, 0] == pytest.approx(1.1)
    with pytest.raises(DataError, match=r"no gap of 0\.1, none with seed 1"):
        cube(design(hole=("0.1", 1)), "gap", ["noise", "extent"])
    with pytest.raises(DataError, match="two cells"):
        cube(design(), "gap", ["noise"])
    with pytest.raises(DataError, match="did you mean 'extent'"):
        cube(design(), "gap", ["extend"])
    for wrong in (y[:1], y[:, :1], y[0], np.where(y > 0, np.nan, y)):
        with pytest.raises(DataError):
            shares(wrong, ["noise", "extent", "after"])
    with pytest.raises(DataError, match="did you mean 'noise'"):
        shares(y, ["noise", "extent", "after"], whole=["noises"])
