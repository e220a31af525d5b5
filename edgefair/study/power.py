"""How large an effect has to be for a number of seeds to show it."""

from __future__ import annotations

import math
from functools import lru_cache

from scipy.optimize import brentq
from scipy.stats import nct, t

from edgefair.errors import UsageError

ALPHA = 0.05
POWER = 0.8
# Points of gap that a study is asked about, as a share.
EFFECT = 0.02
# Seeds beyond which a search gives up: no study trains this often.
MOST_SEEDS = 100_000


def power(seeds: int, *, sd: float, effect: float = EFFECT, alpha: float = ALPHA) -> float:
    """Chance that a two-sided paired t-test finds a true mean difference.

    P(|T| > t[1 - alpha/2, n - 1]), T noncentral t with n - 1 degrees of freedom and noncentrality effect sqrt(n) / sd
    (Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, chapter 2).

    Args:
        seeds: n, pairs.
        sd: standard deviation of the paired difference between seeds, in the unit of the effect.

    Raises:
        UsageError: fewer than two seeds, or a negative sd.
    """
    if seeds < 2:
        raise UsageError(f"{seeds} seeds have no spread", expected="at least two")
    if not sd >= 0 or not math.isfinite(sd):
        raise UsageError(f"a standard deviation of {sd:g}", expected="a finite number, 0 or more")
    if sd == 0:
        return 1.0 if effect else alpha
    shift, critical = abs(effect) * math.sqrt(seeds) / sd, float(t.ppf(1 - alpha / 2, seeds - 1))
    # The other tail underflows to NaN in scipy where it is far below any number that matters.
    other = float(nct.cdf(-critical, seeds - 1, shift))
    return float(nct.sf(critical, seeds - 1, shift)) + (other if math.isfinite(other) else 0.0)


def seeds_needed(sd: float, *, effect: float = EFFECT, alpha: float = ALPHA, wanted: float = POWER) -> int:
    """Fewest seeds with the wanted `power`.

    Raises:
        UsageError: no number of seeds up to 100,000 has it.
    """
    if power(MOST_SEEDS, sd=sd, effect=effect, alpha=alpha) < wanted:
        raise UsageError(
            f"no number of seeds up to {MOST_SEEDS:,} shows an effect of {effect:g} at a standard deviation of {sd:g}"
        )
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, sd=sd, effect=effect, alpha=alpha) >= wanted else (middle, high)
    return high


def smallest_effect(seeds: int, *, sd: float, alpha: float = ALPHA, wanted: float = POWER) -> float:
    """The mean difference that these seeds find with the wanted `power`, in the unit of sd; 0 where nothing varies."""
    return sd * _standardized(seeds, alpha, wanted) if sd else 0.0


@lru_cache
def _standardized(seeds: int, alpha: float, wanted: float) -> float:
    """`smallest_effect` at a standard deviation of 1: a study asks it for every contrast."""

    def lacking(size: float) -> float:
        return power(seeds, sd=1.0, effect=size, alpha=alpha) - wanted

    high = 1.0
    while lacking(high) < 0:
        high *= 2
    return float(brentq(lacking, 0.0, high, xtol=1e-10))
