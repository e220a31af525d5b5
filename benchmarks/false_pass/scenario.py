"""One configuration of audits whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scenario:
    """Audits of one configuration.

    Attributes:
        name: unique within its module.
        at_most, at_least: bounds of the probability of the event; None where there is none.
        runs: how many audits are played.
        run: plays one audit and says whether the event (a false PASS, a false FAIL, a promised PASS) happened.
    """

    name: str
    at_most: float | None
    at_least: float | None
    runs: int
    run: Callable[[np.random.Generator], bool]
