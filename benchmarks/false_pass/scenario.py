"""One claim about a verdict that a simulation can refute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scenario:
    """An event whose probability has a bound.

    Attributes:
        at_most, at_least: bounds of the probability; None where there is none.
        runs: audits to play.
        run: plays one audit and says whether the event happened.
    """

    name: str
    at_most: float | None
    at_least: float | None
    runs: int
    run: Callable[[np.random.Generator], bool]
