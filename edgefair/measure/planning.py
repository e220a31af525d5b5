"""What an audit set can decide, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgefair.measure.bounds import Array, change, clopper_pearson, mover

SIMULATIONS = 4000


def smallest_threshold(n: NDArray[np.int64], rates: Array, *, alpha: float) -> float:
    """The least threshold that counts like these can pass, even where all groups have exactly equal rates.

    It is the largest upper limit over all pairs of groups with the expected counts and no difference.

    Args:
        n: rows, int64 [groups, labels], all positive.
        rates: assumed rate of each label, float64 [labels].
        alpha: error probability.
    """
    x = np.rint(n * rates).astype(np.int64)
    return float(_largest(*_rates(x[None], n, alpha))[0])


def power_absolute(
    n: NDArray[np.int64], rates: Array, *, gap: float, threshold: float, alpha: float, seed: int
) -> float:
    """Probability that every comparison's upper limit is within the threshold, from `SIMULATIONS` simulated audits.

    All groups share one rate per label, but for the last one, whose rates are lower by `gap`.

    Args:
        n: rows, int64 [groups, labels].
        rates: rate of the other groups at each label, float64 [labels].
    """
    p = np.tile(rates, (len(n), 1))
    p[-1] = np.where(p[-1] >= gap, p[-1] - gap, p[-1] + gap)
    x = np.random.default_rng(seed).binomial(n, p, size=(SIMULATIONS, *n.shape))
    return float((_largest(*_rates(x, n, alpha)) <= threshold).mean())


def power_paired(
    n: NDArray[np.int64], flip_rate: float, *, increase: float, threshold: float, alpha: float, seed: int
) -> float:
    """Probability that a paired gate passes, where a share `flip_rate` of the rows of every cell flips.

    Flips go both ways alike, but for the last group, whose rates shift by `increase`.

    Args:
        n: rows, int64 [groups, labels].
    """
    rng = np.random.default_rng(seed)
    gain = np.full(n.shape, flip_rate / 2)
    loss = gain.copy()
    gain[-1] += increase / 2
    loss[-1] = max(0.0, loss[-1, 0] - increase / 2)
    gained = rng.binomial(n, gain, size=(SIMULATIONS, *n.shape))
    lost = rng.binomial(n - gained, loss / (1 - gain))
    shift = change(_rates(gained, n, alpha), _rates(lost, n, alpha))
    return float((_largest(*shift) <= threshold).mean())


def _rates(x: NDArray[np.int64], n: NDArray[np.int64], alpha: float) -> tuple[Array, Array, Array]:
    """x / n with Clopper-Pearson limits, each [simulations, groups, labels], each cell's counts looked up once."""
    lower, upper = np.empty(x.shape), np.empty(x.shape)
    for cell in np.ndindex(n.shape):
        column = x[(slice(None), *cell)]
        first = int(column.min())
        low, high = clopper_pearson(np.arange(first, int(column.max()) + 1), n[cell], alpha)
        lower[(slice(None), *cell)], upper[(slice(None), *cell)] = low[column - first], high[column - first]
    return x / n, lower, upper


def _largest(value: Array, lower: Array, upper: Array) -> Array:
    """Largest upper limit of |difference| over all pairs of groups and labels: [simulations]."""
    first, second = np.triu_indices(value.shape[1], k=1)
    parts = [part[:, index] for index in (first, second) for part in (value, lower, upper)]
    _, low, high = mover(*parts)
    limit: Array = np.maximum(np.abs(low), np.abs(high)).max(axis=(1, 2))
    return limit


def rows_for_power(power: Callable[[int], float], wanted: float, *, most: int = 1 << 22) -> int | None:
    """Least rows per cell at which a power function reaches `wanted`, to about 1 %; None where `most` do not.

    Args:
        power: rows per cell -> probability; grows with the rows, up to simulation noise.
    """
    high = 64
    while power(high) < wanted:
        high *= 2
        if high > most:
            return None
    low = high // 2
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        if power(middle) < wanted:
            low = middle
        else:
            high = middle
    return high
