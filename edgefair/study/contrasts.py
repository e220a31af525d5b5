"""Planned contrasts inside a seed, and what the seeds say of them.

Every cell of a seed shares its rows, masks, initial weights and order of rows (common random numbers), so a contrast is
taken inside the seed first and only then looked at over seeds: n numbers d_s, one a seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from edgefair.errors import UsageError
from edgefair.measure.bounds import Array
from edgefair.measure.flips import holm
from edgefair.study.power import ALPHA, EFFECT, smallest_effect

# Sign flips are enumerated up to 2^12 of them, and drawn beyond.
ENUMERATED_SEEDS = 12
DRAWN_FLIPS = 10_000
# The check is made from here on: with fewer seeds its smallest p, 2 / 2^n, leaves nothing to a family.
CHECKED_SEEDS = 8
# Fewest seeds of a claim: with five, no distribution-free test of one contrast reaches 5 % (2 / 2^5 = 0.0625).
CLAIM_SEEDS = 6
# Beyond this share of its largest value, t has no spread to compare with: all differences are one number.
ONE_NUMBER = 1 - 1e-9
# Of the largest part of a contrast: what is smaller is the rounding of its parts.
ROUNDING = 1e-12
# Statistics that differ by less are tied: they are one sum in another order.
TIE = 1e-6


@dataclass(frozen=True)
class Contrast:
    """sum_k w_k y[condition_k], inside one seed.

    Attributes:
        name: what is compared, in words, as "int8 minus finetune-only".
        family: contrasts that one question asks together; corrected together.
        terms: condition (`plan.Cell.condition`) and its weight; the weights sum to 0.
        planned: fixed before the run; otherwise it is exploratory, is called so, and has a family of its own.
    """

    name: str
    family: str
    terms: tuple[tuple[str, float], ...]
    planned: bool = True

    def __post_init__(self) -> None:
        if not self.terms or abs(math.fsum(weight for _, weight in self.terms)) > 1e-9:
            raise UsageError(f"contrast '{self.name}': its weights do not sum to 0", expected="for example 1 and -1")


@dataclass(frozen=True)
class Values:
    """One response of every cell.

    Attributes:
        response: its name.
        cells: (condition, seed) -> value; a cell without a number is absent.
        collapsed: cells whose model collapsed, where the response is a gap (a model that finds nobody has no gap, and
            says nothing of fairness); empty for other responses.
    """

    response: str
    cells: Mapping[tuple[str, int], float]
    collapsed: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True)
class Differences:
    """d_s of one contrast.

    Attributes:
        by_seed: seed -> d_s.
        collapsed: seeds that are left out because one of their cells collapsed.
        missing: seeds that are left out because one of their cells has no number.
    """

    by_seed: Mapping[int, float]
    collapsed: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()

    @property
    def values(self) -> Array:
        """float64 [seeds], in the order of the seeds."""
        return np.array([self.by_seed[seed] for seed in sorted(self.by_seed)], dtype=np.float64)


@dataclass(frozen=True)
class Estimate:
    """What the seeds say of one contrast of one response, in the response's own unit.

    Attributes:
        differences: d_s by seed, and what was left out.
        mean, sd: over seeds; None without seeds, sd also with one.
        lower, upper: t limits at 1 - alpha, unadjusted; None with fewer than two seeds.
        p: two-sided t-test of mean 0.
        p_holm: after Holm's correction within the family.
        p_signflip: the family's max-t sign-flip p; None with fewer than 8 seeds.
        bound: smallest delta with the 90 % interval inside +-delta: what the two one-sided tests can exclude.
        visible: effect that as many seeds with this sd find in 80 % of studies.
    """

    contrast: Contrast
    response: str
    differences: Differences
    mean: float | None = None
    sd: float | None = None
    lower: float | None = None
    upper: float | None = None
    p: float | None = None
    p_holm: float | None = None
    p_signflip: float | None = None
    bound: float | None = None
    visible: float | None = None
    alpha: float = field(default=ALPHA)

    @property
    def seeds(self) -> int:
        """Seeds that the numbers rest on."""
        return len(self.differences.by_seed)

    @property
    def can_claim(self) -> bool:
        """Whether there are seeds enough for any claim at all."""
        return self.seeds >= CLAIM_SEEDS

    @property
    def found(self) -> bool:
        """An effect that holds after Holm, and in the sign-flip check where there are seeds for it."""
        checks = [self.p_holm] if self.p_signflip is None else [self.p_holm, self.p_signflip]
        return self.can_claim and all(p is not None and p <= self.alpha for p in checks)

    def no_larger_than(self, delta: float = EFFECT) -> bool:
        """Equivalence: the 90 % interval lies inside +-delta (two one-sided t-tests, Schuirmann 1987)."""
        return self.can_claim and self.bound is not None and self.bound <= delta


def differences(contrast: Contrast, values: Values, seeds: Sequence[int]) -> Differences:
    """d_s of every seed that has all cells of the contrast, none of them collapsed."""
    found: dict[int, float] = {}
    collapsed, missing = [], []
    for seed in seeds:
        cells = [(condition, seed) for condition, _ in contrast.terms]
        if any(cell in values.collapsed for cell in cells):
            collapsed.append(seed)
        elif any(cell not in values.cells or not math.isfinite(values.cells[cell]) for cell in cells):
            missing.append(seed)
        else:
            found[seed] = _sum([weight * values.cells[condition, seed] for condition, weight in contrast.terms])
    return Differences(found, tuple(collapsed), tuple(missing))


def _sum(parts: Sequence[float]) -> float:
    """The sum, and 0 where only the rounding of weights is left: that is the same in every seed, and no effect."""
    total = math.fsum(parts)
    return total if abs(total) > ROUNDING * max(map(abs, parts)) else 0.0


def estimates(
    contrasts: Sequence[Contrast],
    responses: Sequence[Values],
    seeds: Sequence[int],
    *,
    alpha: float = ALPHA,
    flip_seed: int = 0,
) -> tuple[Estimate, ...]:
    """Every contrast of every response. A family is corrected over all its contrasts and all these responses.

    Args:
        seeds: of the study; a seed without a cell counts as missing, not as absent from the design.
        flip_seed: of the drawn sign flips, beyond 12 seeds.

    Raises:
        UsageError: a seed or a contrast given twice.
    """
    if len(set(seeds)) != len(seeds):
        raise UsageError(f"seeds {list(seeds)}: each once", expected="a pair a seed")
    names = [(item.family, item.name, item.planned) for item in contrasts]
    if len(set(names)) != len(names):
        raise UsageError("a contrast is given twice", expected="every contrast of a family once")
    single = [_estimate(item, values, seeds, alpha) for values in responses for item in contrasts]
    families: dict[tuple[str, bool], list[int]] = {}
    for index, item in enumerate(single):
        families.setdefault((item.contrast.family, item.contrast.planned), []).append(index)
    for members in families.values():
        tested = [index for index in members if single[index].p is not None]
        adjusted = holm(np.array([single[index].p for index in tested], dtype=np.float64))
        # A seed that lacks a contrast keeps its sign and adds nothing to it.
        matrix = np.array(
            [[single[index].differences.by_seed.get(seed, np.nan) for index in tested] for seed in sorted(seeds)]
        ).reshape(len(seeds), len(tested))
        flipped = sign_flip_max_t(matrix, seed=flip_seed) if tested else np.empty(0)
        for index, p_holm, p_flip in zip(tested, adjusted, flipped, strict=True):
            checked = single[index].seeds >= CHECKED_SEEDS
            single[index] = replace(single[index], p_holm=float(p_holm), p_signflip=float(p_flip) if checked else None)
    return tuple(single)


def _estimate(contrast: Contrast, values: Values, seeds: Sequence[int], alpha: float) -> Estimate:
    found = differences(contrast, values, seeds)
    d = found.values
    bare = Estimate(contrast, values.response, found, mean=float(d.mean()) if len(d) else None, alpha=alpha)
    if len(d) < 2:
        return bare
    mean, sd = float(d.mean()), float(d.std(ddof=1))
    lower, upper = t_interval(d, 1 - alpha)
    return replace(
        bare,
        sd=sd,
        lower=lower,
        upper=upper,
        p=t_test(d),
        bound=max(map(abs, t_interval(d, 1 - 2 * alpha))),
        visible=smallest_effect(len(d), sd=sd, alpha=alpha) if mean or sd else 0.0,
    )


def t_interval(d: Array, confidence: float) -> tuple[float, float]:
    """mean +- t[(1 + confidence) / 2, n - 1] sd / sqrt(n) of d, float64 [n], n >= 2 (Student 1908)."""
    half = float(student.ppf((1 + confidence) / 2, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d)))
    return float(d.mean()) - half, float(d.mean()) + half


def t_test(d: Array) -> float:
    """Two-sided p of mean 0, d float64 [n], n >= 2.

    Where all d are one number other than 0, as the bytes of two files can be, t has no bound and is cut off: p is tiny.
    """
    share = min(float(_share(d.sum(), np.square(d).sum(), np.asarray(len(d)))), ONE_NUMBER)
    return float(2 * student.sf(math.sqrt((len(d) - 1) * share / (1 - share)), len(d) - 1))


def sign_flip_max_t(d: Array, *, seed: int = 0) -> Array:
    """p-values adjusted by the distribution of max_k |t_k| over sign flips of whole seeds, float64 [contrasts].

    Under the null hypothesis that each seed's differences are distributed symmetrically about 0, jointly, all 2^n flips
    are equally likely: p_k = share of flips with max_j |t*_j| >= |t_k|, the observed one among them (Westfall & Young,
    Resampling-Based Multiple Testing, 1993, single step; Winkler et al., NeuroImage 2014). All flips up to 12 seeds;
    beyond, 10,000 drawn ones and the observed, which keeps the level exactly (Phipson & Smyth, SAGMB 2010).

    Args:
        d: float64 [seeds, contrasts]; NaN where a seed lacks a contrast.
        seed: of the drawn flips.
    """
    known = ~np.isnan(d)
    filled, n = np.where(known, d, 0.0), known.sum(axis=0)
    squares = np.square(filled).sum(axis=0)
    observed = _size(filled.sum(axis=0), squares, n)
    largest = _size(_flips(len(d), seed) @ filled, squares, n).max(axis=1, initial=0.0)
    return np.asarray((largest[:, None] >= observed * (1 - TIE)).mean(axis=0))


def _flips(seeds: int, seed: int) -> Array:
    """Signs, [flips, seeds]; the observed ones are the first."""
    if seeds <= ENUMERATED_SEEDS:
        bits: NDArray[np.int64] = np.arange(2**seeds)[:, None] >> np.arange(seeds)
        return np.asarray(1.0 - 2.0 * (bits & 1), dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, 2, (DRAWN_FLIPS, seeds))
    return np.concatenate([np.ones((1, seeds)), 1.0 - 2.0 * drawn])


def _size(sums: Array, squares: Array, n: NDArray[np.integer]) -> Array:
    """|t| from sum and sum of squares, which no flip changes; huge, and finite, where all are one number."""
    share = np.minimum(_share(sums, squares, n), ONE_NUMBER)
    return np.asarray(np.sqrt(np.maximum(n - 1, 0) * share / (1 - share)))


def _share(sums: Array, squares: Array, n: NDArray[np.integer]) -> Array:
    """(sum d)^2 / (n sum d^2) = t^2 / (n - 1 + t^2), in [0, 1]; 0 where all d are 0."""
    return np.square(sums) / np.where(squares > 0, squares * n, 1.0)
