"""What an activation loses by its codes, and the range of codes with which it loses least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefair.compress.quantization.recipe import CODES, Activations

Floats = NDArray[np.float64]

# Shares of an end of the range that are tried in its place.
SHARES = np.linspace(1.0, 0.1, 46)
# Times that the two ends are moved in turns.
TURNS = 3


@dataclass(frozen=True)
class Coding:
    """How numbers become codes of a range.

    Attributes:
        steps: between the ends of the range.
        symmetric: whether zero is in the middle.
    """

    steps: int = 255
    symmetric: bool = False

    @classmethod
    def of(cls, activations: Activations) -> Coding:
        """That of a recipe's activations."""
        first, last = CODES[activations]
        return cls(last - first, activations.endswith("symmetric"))

    def errors(self, values: Floats, low: float, high: float) -> Floats:
        """Squared error of every value, coded in a range that is widened to hold zero."""
        low, high = min(low, 0.0), max(high, 0.0)
        if self.symmetric:
            low, high = -max(-low, high), max(-low, high)
        step = (high - low) / self.steps
        if step <= 0:
            return values**2
        zero = np.rint(-low / step)
        codes = np.clip(np.rint(values / step) + zero, 0, self.steps)
        errors: Floats = ((codes - zero) * step - values) ** 2
        return errors


def least_error(low: float, high: float, error: Callable[[float, float], float]) -> tuple[float, float]:
    """The range of the smallest error within [low, high], which is widened to hold zero.

    Both ends are drawn in alike, then each in turns.

    Args:
        low, high: the smallest and the largest value; the search begins there, so nothing worse is found.
        error: of a range.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    best = (error(low, high), low, high)
    for share in SHARES[1:]:
        best = min(best, (error(low * share, high * share), low * share, high * share))
    for _ in range(TURNS):
        before = best
        for share in SHARES:
            best = min(best, (error(low * share, best[2]), low * share, best[2]))
            best = min(best, (error(best[1], high * share), best[1], high * share))
        if best == before:
            break
    return best[1], best[2]
