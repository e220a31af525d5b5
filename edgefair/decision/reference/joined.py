"""A difference in two parts: of a reference that was audited once on many rows, and its change by compression on few.

With d = r_a - r_b of the reference and c = delta_a - delta_b by compression, the compressed model has d + c. Limits of
d at s alpha and of c at (1 - s) alpha together miss with probability alpha at most (Bonferroni), and where none does,
d + c is at most the sum of the upper limits. So rows may be in both audits, and one audit of the reference may serve
for ever. MOVER's sum (Zou, Statistics in Medicine 2009), in which widths add in squares, takes a quarter fewer rows,
needs independent audits, and misses too often where alpha is small and one part rests on few rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edgefair.decision.verdict import Joined
from edgefair.measure.bounds import Array
from edgefair.measure.exact import staircase

# (estimate, lower, upper) of differences
Limited = tuple[Array, Array, Array]
Whole = NDArray[np.int64]
# s: chosen for audits several times as large as the rows at hand, whose limits take little room at any level.
OF_REFERENCE = 0.2
OF_CHANGE = 1 - OF_REFERENCE


@dataclass(frozen=True, eq=False)
class Parts:
    """Both parts of some differences with their limits, each float64 [pairs, labels, measures]."""

    reference: Limited
    change: Limited

    @classmethod
    def of(cls, reference: Callable[[float], Limited], change: Callable[[float], Limited], level: float) -> Self:
        """Limits that together miss with the probability of the level.

        Args:
            reference, change: limits of the parts at any level.
        """
        return cls(reference(OF_REFERENCE * level), change(OF_CHANGE * level))

    @property
    def total(self) -> Limited:
        """The sums."""
        value, lower, upper = (one + other for one, other in zip(self.reference, self.change, strict=True))
        return value, np.maximum(lower, -1.0), np.minimum(upper, 1.0)

    @property
    def taken(self) -> Array:
        """What the limits of the reference take of the room for those of the change, on the side further off."""
        value, lower, upper = self.reference
        return np.where(value + self.change[0] >= 0, upper - value, value - lower)

    def proven(self, x: tuple[Whole, Whole], n: tuple[Whole, Whole], chosen: NDArray[np.bool_], level: float) -> Self:
        """The chosen with limits of the reference that hold by proof, and are wider than MOVER's: little, of many rows.

        The exact test would have to know its threshold before the data; here it is what the change leaves of the room.

        Args:
            x, n: successes and rows of the first and of the second cells of the reference, int64 [chosen].
        """
        value, lower, upper = (part.copy() for part in self.reference)
        upper[chosen] = np.maximum(upper[chosen], staircase(x, n, OF_REFERENCE * level))
        lower[chosen] = np.minimum(lower[chosen], -staircase(x[::-1], n[::-1], OF_REFERENCE * level))
        return replace(self, reference=(value, lower, upper))

    def at(self, index: tuple[int, int, int], n_a: int, n_b: int) -> Joined:
        """One of them, beside the rows of its two cells in the audit of the reference."""
        numbers = [float(array[index]) for array in (*self.reference, *self.change)]
        return Joined(n_a, n_b, *numbers)
