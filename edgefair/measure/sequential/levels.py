"""Group-sequential levels: how much error each of several looks at growing rows may spend, so that all spend alpha.

At look k the share t_k of the rows is known, and a comparison passes there if its p-value is at most
alpha_k = 1 - Phi(z_k) with z_k = c t_k^(DELTA - 1/2) (Wang & Tsiatis, Biometrics 1987). The normal scores of nested
rows have correlation sqrt(t_j / t_k) between looks, which fixes c by P(some Z_k >= z_k) = alpha (Armitage, McPherson &
Rowe, JRSS A 1969; Jennison & Turnbull 2000, ch. 19).

PASS: a release passes at a look only if every comparison of every gate does, at alpha_k. Where one requirement is
broken, a false PASS is a miss of that one at some look: with probability alpha at most, however many others there are,
and whatever rule stops the looks (an intersection-union test at every look). This needs the joint law above, and so
the planned shares; rows are taken so that every (group, label) cell has them.

FAIL is a claim over all comparisons, each at alpha_k / m. The scores are nearly independent that far out, and all looks
together spend up to 1.5 times alpha / m. So its error is parted between looks (Bonferroni), in proportion to alpha_k,
which holds for every m and every law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import ndtr

from edgefair.measure.bounds import root

LOOKS = 5
FRACTIONS = tuple(look / LOOKS for look in range(1, LOOKS + 1))
# 0: O'Brien & Fleming, late and wide steps; 1/2: Pocock, early ones.
DELTA = 0.25
# Of a Gauss-Legendre rule from so many standard deviations below 0 up to the limit.
NODES, REACH = 96, 9.0
# Digits of a level, so that every machine finds the same.
DIGITS = 6


@dataclass(frozen=True)
class Level:
    """Error probabilities that one look may spend: of PASS, whose looks overlap, and of FAIL, whose add up."""

    passing: float
    failing: float


@lru_cache(maxsize=64)
def levels(alpha: float) -> tuple[Level, ...]:
    """What each look may spend, so that PASS errs with probability alpha over all of them, and so does FAIL.

    Args:
        alpha: above 0, below 1/2.
    """
    passing = [_rounded(float(level)) for level in ndtr(-boundary(alpha, FRACTIONS, DELTA))]
    share = alpha / sum(passing)
    return tuple(Level(level, _rounded(level * min(share, 1.0))) for level in passing)


def boundary(alpha: float, fractions: Sequence[float], delta: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Normal scores z_k = c t_k^(delta - 1/2), one-sided, with P(some Z_k >= z_k) = alpha: float64 [looks]."""
    shape = np.asarray(fractions) ** (delta - 0.5)
    return np.asarray(root(lambda c: crossing(c * shape, fractions) - alpha, 0.0, 40.0) * shape)


def crossing(bounds: Sequence[float] | np.ndarray[Any, Any], fractions: Sequence[float]) -> float:
    """P(Z_k >= z_k at some look) of the canonical joint law, by recursive integration.

    S_k = sqrt(t_k) Z_k has independent normal increments; the density of S_k below all limits so far is carried from
    look to look on the nodes of a quadrature rule.

    Args:
        bounds: z_k, [looks].
        fractions: t_k, increasing, [looks].
    """
    place, weight = np.polynomial.legendre.leggauss(NODES)
    nodes, mass, before, total = np.zeros(1), np.ones(1), 0.0, 0.0
    for bound, at in zip(np.asarray(bounds) * np.sqrt(fractions), fractions, strict=True):
        spread = np.sqrt(at - before)
        total += float(mass @ ndtr((nodes - bound) / spread))
        low = -REACH * np.sqrt(at)
        ahead = low + (bound - low) * (place + 1) / 2
        density = np.exp(-(((ahead[:, None] - nodes) / spread) ** 2) / 2) @ mass / (spread * np.sqrt(2 * np.pi))
        nodes, mass, before = ahead, density * weight * (bound - low) / 2, at
    return total


def _rounded(level: float) -> float:
    return float(f"{level:.{DIGITS}g}")
