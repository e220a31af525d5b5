"""Several rows per person: how much less they tell than as many independent rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from edgefair.measure.bounds import Array


@dataclass(frozen=True, eq=False)
class Effective:
    """Effective sample size of a table of rates.

    Attributes:
        share: n_eff / n, float64, 0 < share <= 1.
        subjects: int64, same shape: independent units behind the rows.
    """

    share: Array
    subjects: NDArray[np.int64]

    def scale(self, level: float) -> Array:
        """Factor on counts before one-sided limits at `level` are taken.

        n_eff* = n_eff (z_{1-level} / t_{m-1, 1-level})^2: the variance is estimated from m subjects (Korn & Graubard,
        Survey Methodology 1998, eq. 2.3).
        """
        t = stdtrit(np.maximum(self.subjects - 1, 1), 1 - level)
        factor: Array = self.share * (ndtri(1 - level) / t) ** 2
        return factor

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"share": self.share.tolist(), "subjects": self.subjects.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: not such an object, or a share that cannot be.
        """
        share = np.asarray(data["share"], dtype=np.float64)
        subjects = np.asarray(data["subjects"], dtype=np.int64)
        if share.shape != subjects.shape or not bool(np.all((share > 0) & (share <= 1) & (subjects >= 0))):
            raise ValueError("shares of effective rows that are not between 0 and 1")
        return cls(share=share, subjects=subjects)


@dataclass(frozen=True, eq=False)
class Design:
    """Effective sample sizes of everything that a verdict takes limits of.

    Attributes:
        rates: attribute -> of r[g, y, c], [groups, labels, classes], groups in the policy's order.
        gained, lost: attribute -> of the flip rates towards and away from class c, same shape.
        mended, spoiled: of the rates of rows that compression corrects and breaks, scalars; None without a reference.
    """

    rates: Mapping[str, Effective]
    gained: Mapping[str, Effective]
    lost: Mapping[str, Effective]
    mended: Effective | None = None
    spoiled: Effective | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        by_attribute = {"rates": self.rates, "gained": self.gained, "lost": self.lost}
        overall = {"mended": self.mended, "spoiled": self.spoiled}
        return {
            **{key: {name: item.to_json() for name, item in part.items()} for key, part in by_attribute.items()},
            **{key: None if item is None else item.to_json() for key, item in overall.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: not such an object.
        """
        rates, gained, lost = (
            {str(name): Effective.from_json(item) for name, item in data[key].items()}
            for key in ("rates", "gained", "lost")
        )
        mended, spoiled = (
            None if data[key] is None else Effective.from_json(data[key]) for key in ("mended", "spoiled")
        )
        return cls(rates=rates, gained=gained, lost=lost, mended=mended, spoiled=spoiled)


def effective(
    event: NDArray[np.bool_], *, cell: NDArray[np.int64], subject: NDArray[np.int64], cells: int
) -> Effective:
    """Effective sample size of the rate of an event in every cell: arrays [cells].

    The rate r = x / n is a ratio estimator over subjects j; its variance is m/(m-1) sum_j (x_j - r n_j)^2 / n^2, its
    design effect that over r (1 - r) / n, and n_eff = n / max(deff, 1) (Rao & Scott, Biometrics 1992). Where the rate
    is 0 or 1, or one subject makes the cell, the design effect is not estimable and every subject counts as one row.
    Subjects are taken as independent between cells: a subject with rows in two cells of one comparison correlates them
    positively as a rule, which makes the limits of their difference wider than need be.

    Args:
        event: bool [rows].
        cell: index of every row's cell, 0 <= cell < cells.
        subject: index of every row's subject, >= 0.
    """
    key, inverse = np.unique(cell * (int(subject.max(initial=0)) + 1) + subject, return_inverse=True)
    owner = key // (int(subject.max(initial=0)) + 1)
    rows_of = np.bincount(inverse, minlength=len(key)).astype(np.float64)
    events_of = np.bincount(inverse, weights=event, minlength=len(key))
    subjects = np.bincount(owner, minlength=cells)
    n = np.bincount(owner, weights=rows_of, minlength=cells)
    x = np.bincount(owner, weights=events_of, minlength=cells)
    rate = x / np.maximum(n, 1)
    residual = np.bincount(owner, weights=(events_of - rate[owner] * rows_of) ** 2, minlength=cells)
    simple = rate * (1 - rate) * n
    estimable = (simple > 0) & (subjects > 1)
    effect = np.where(estimable, residual * subjects / np.maximum(subjects - 1, 1) / np.where(simple > 0, simple, 1), 1)
    share = np.where(estimable, 1 / np.maximum(effect, 1), subjects / np.maximum(n, 1))
    return Effective(share=np.where(n > 0, share, 1.0), subjects=subjects.astype(np.int64))
