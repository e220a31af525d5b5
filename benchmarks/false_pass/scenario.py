"""One claim that is simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scenario:
    """An event and how often it may happen.

    Attributes:
        at_most, at_least: bounds of its probability; None where there is none.
        runs: how often it is played.
        run: plays one audit and says whether the event (a false PASS, a false FAIL, a promised PASS) happened.
    """

    name: str
    at_most: float | None
    at_least: float | None
    runs: int
    run: Callable[[np.random.Generator], bool]
