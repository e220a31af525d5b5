"""Shares of variance: the closed-form analysis of variance of a balanced design, blocked by seed.

Every cell has one value y[s, a, b, ...], s the seed. With M_S the mean over all axes that are not in S, the component
of a set of axes is e_S = sum over T in S of (-1)^(|S| - |T|) M_T, and SS_S = sum over all cells of e_S^2; the SS of all
sets add up to that of y about its mean (Winer, Statistical Principles in Experimental Design, 1971). Seeds are blocks:
an effect S is tested against the interactions of seeds with effects, pooled over its stratum.

Purity and a treatment before are given to a whole dense training, which all its extents share: they are whole plots,
and the rest are split plots within it. So effects of whole-plot factors alone have the error of whole plots (seed x
whole plots), all others that of split plots (Yates, Complex Experiments, 1935).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import f as fisher

from edgefair.errors import DataError, did_you_mean
from edgefair.measure.bounds import Array
from edgefair.study.table import Row, values_of

# Columns of the table that a plan sets, as factors of a design.
AXES = ("noise", "keep", "thin", "extent", "treatment", "before", "during", "after")


@dataclass(frozen=True)
class Effect:
    """One line of the table.

    Attributes:
        factors: of the effect; two or more are an interaction.
        stratum: whose error it is tested against: "whole" plots, or "split" plots.
        ss, df, error_ss, error_df: sums of squares and degrees of freedom.
        f, p: F and its p; None where the error is 0.
        partial: eta^2_p = SS / (SS + SS_error).
        generalized: eta^2_G = SS / (SS + all SS of seeds and errors) (Olejnik & Algina, Psychological Methods 2003),
            comparable between designs with other factors, all of which are set by the experimenter.
        interval: of `generalized`, by bootstrap over seeds; None if it was not asked for.
    """

    factors: tuple[str, ...]
    stratum: str
    ss: float
    df: int
    error_ss: float
    error_df: int
    f: float | None
    p: float | None
    partial: float | None
    generalized: float | None
    interval: tuple[float, float] | None = None


def cube(rows: Sequence[Row], response: str, factors: Sequence[str]) -> tuple[Array, dict[str, tuple[str, ...]]]:
    """One response of a balanced design: float64 [seeds, levels of each factor...], and the levels of each factor.

    Args:
        rows: of the design: no other column of the plan may vary among them.
        response: a column.
        factors: columns, as noise, extent, treatment; before, during, after.

    Raises:
        DataError: an unknown factor; a cell without a number, or with two: shares of variance are of whole designs.
    """
    for name in factors:
        if name not in AXES:
            raise DataError(f"no factor '{name}'{did_you_mean(name, AXES)}", expected=f"one of {', '.join(AXES)}")
    found: dict[tuple[str, ...], float] = {}
    cells = values_of(rows, response).cells
    axes = [[str(seed) for seed in sorted({row.seed for row in rows})]]
    axes += [list(dict.fromkeys(str(getattr(row, name)) for row in rows)) for name in factors]
    for row in rows:
        key = (str(row.seed), *(str(getattr(row, name)) for name in factors))
        if key in found:
            raise DataError(
                f"two cells of {', '.join(key[1:])} with seed {row.seed}",
                fix="name all factors that vary, or fewer rows",
            )
        if (row.condition, row.seed) in cells:
            found[key] = cells[row.condition, row.seed]
    y = np.empty([len(axis) for axis in axes])
    for index in np.ndindex(y.shape):
        key = tuple(axis[at] for axis, at in zip(axes, index, strict=True))
        if key not in found:
            raise DataError(
                f"no {response} of {', '.join(key[1:])} with seed {key[0]}",
                expected="every combination of the levels: shares of variance are of whole designs",
                fix="leave out the level that some cells lack, as the treatment during where nothing is fine-tuned",
            )
        y[index] = found[key]
    return y, {name: tuple(axis) for name, axis in zip(factors, axes[1:], strict=True)}


def shares(
    y: Array, factors: Sequence[str], *, whole: Collection[str] = (), replicates: int = 0, seed: int = 0
) -> tuple[Effect, ...]:
    """The analysis of variance of a balanced design, main effects first.

    Args:
        y: float64 [seeds, levels of each factor...], finite.
        factors: name of every axis but the first.
        whole: factors of whole plots; none or all of them: one stratum.
        replicates: of the bootstrap over seeds, for 95 % percentile intervals of eta^2_G; 0 for none.
        seed: of the bootstrap.

    Raises:
        DataError: another shape, fewer than two seeds or levels, values that are no numbers, an unknown factor.
    """
    _check(y, factors, whole)
    found = _table(y, tuple(factors), frozenset(whole))
    if not replicates:
        return tuple(_effect(*line) for line in found)
    rng = np.random.default_rng(seed)
    drawn = np.empty((replicates, len(found)))
    for index in range(replicates):
        again = _table(y[rng.integers(0, len(y), len(y))], tuple(factors), frozenset(whole))
        drawn[index] = [_share(ss, others) for _, _, ss, _, _, _, others in again]
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    return tuple(
        _effect(*line, interval=(float(one), float(other))) for line, one, other in zip(found, low, high, strict=True)
    )


def sums_of_squares(y: Array) -> dict[tuple[int, ...], float]:
    """SS of every non-empty set of axes; they add up to sum (y - mean)^2."""
    axes = range(y.ndim)
    means = {
        kept: y.mean(axis=tuple(axis for axis in axes if axis not in kept), keepdims=True)
        for size in range(y.ndim + 1)
        for kept in itertools.combinations(axes, size)
    }
    found = {}
    for kept in means:
        if not kept:
            continue
        parts = [part for size in range(len(kept) + 1) for part in itertools.combinations(kept, size)]
        component = sum((-1) ** (len(kept) - len(part)) * means[part] for part in parts)
        copies = math.prod(y.shape[axis] for axis in axes if axis not in kept)
        found[kept] = float(np.square(component).sum()) * copies
    return found


# factors, stratum, SS, df, SS of the error, df of the error, SS of seeds and all errors
_Line = tuple[tuple[str, ...], str, float, int, float, int, float]


def _table(y: Array, factors: tuple[str, ...], whole: frozenset[str]) -> list[_Line]:
    ss = sums_of_squares(y)
    df = {axes: math.prod(y.shape[axis] - 1 for axis in axes) for axes in ss}

    def stratum(axes: tuple[int, ...]) -> str:
        return "whole" if {factors[axis - 1] for axis in axes if axis} <= whole else "split"

    errors = {name: [axes for axes in ss if axes[0] == 0 and len(axes) > 1 and stratum(axes) == name] for name in _BOTH}
    measured = math.fsum(value for axes, value in ss.items() if axes[0] == 0)
    lines: list[_Line] = []
    for axes, own in ss.items():
        if axes[0] != 0:
            name = stratum(axes)
            error_ss = math.fsum(ss[item] for item in errors[name])
            error_df = sum(df[item] for item in errors[name])
            effect = tuple(factors[axis - 1] for axis in axes)
            lines.append((effect, name, own, df[axes], error_ss, error_df, measured))
    return lines


_BOTH = ("whole", "split")


def _effect(
    factors: tuple[str, ...],
    stratum: str,
    ss: float,
    df: int,
    error_ss: float,
    error_df: int,
    measured: float,
    interval: tuple[float, float] | None = None,
) -> Effect:
    ratio = (ss / df) / (error_ss / error_df) if error_ss > 1e-12 * (ss + error_ss) else None
    partial, generalized = _share(ss, error_ss), _share(ss, measured)
    return Effect(
        factors=factors,
        stratum=stratum,
        ss=ss,
        df=df,
        error_ss=error_ss,
        error_df=error_df,
        f=ratio,
        p=None if ratio is None else float(fisher.sf(ratio, df, error_df)),
        partial=None if math.isnan(partial) else partial,
        generalized=None if math.isnan(generalized) else generalized,
        interval=interval,
    )


def _share(ss: float, others: float) -> float:
    """SS / (SS + others); NaN where nothing varies."""
    return ss / (ss + others) if ss + others > 0 else math.nan


def _check(y: Array, factors: Sequence[str], whole: Collection[str]) -> None:
    if y.ndim != len(factors) + 1 or not factors or min(y.shape) < 2:
        raise DataError(
            f"values of shape {y.shape} for the factors {', '.join(factors) or 'none'}",
            expected="[seeds, levels of each factor...], two or more of each",
        )
    if not np.isfinite(y).all():
        raise DataError("the design has cells without a number", expected="a balanced design: leave out such levels")
    for name in whole:
        if name not in factors:
            raise DataError(
                f"'{name}' is no factor{did_you_mean(name, factors)}", expected=f"one of {', '.join(factors)}"
            )
