"""Scenarios, found in this folder and played; what came of them, and whether that is within their bounds."""

from __future__ import annotations

import importlib
import pkgutil
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import beta, binom, norm

from benchmarks import false_pass
from benchmarks.false_pass.scenario import Scenario

# Probability beyond three standard errors: what a scenario that keeps its bound exactly is counted out with.
BEYOND = float(norm.sf(3))
CONFIDENCE = 0.95


class Key(NamedTuple):
    """Which scenario: the module's name and its own."""

    module: str
    name: str


@dataclass(frozen=True)
class Played:
    """How often the event of a scenario happened."""

    key: Key
    at_most: float | None
    at_least: float | None
    runs: int
    events: int
    seconds: float

    @property
    def rate(self) -> float:
        """Share of the runs."""
        return self.events / self.runs

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper-Pearson limits of its probability, two-sided at 95 %."""
        half, others = (1 - CONFIDENCE) / 2, self.runs - self.events
        return (
            float(beta.ppf(half, self.events, others + 1)) if self.events else 0.0,
            float(beta.ppf(1 - half, self.events + 1, others)) if others else 1.0,
        )

    @property
    def holds(self) -> bool:
        """Whether so many events (so few) are no rarer, at the bound, than a normal number three errors out."""
        often = self.at_most is None or binom.sf(self.events - 1, self.runs, self.at_most) >= BEYOND
        seldom = self.at_least is None or binom.cdf(self.events, self.runs, self.at_least) >= BEYOND
        return bool(often and seldom)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**self.key._asdict(), "runs": self.runs, "events": self.events, "seconds": round(self.seconds, 3)}


def modules() -> tuple[str, ...]:
    """The files of this folder that have scenarios."""
    names = [item.name for item in pkgutil.iter_modules(false_pass.__path__) if item.name != "__main__"]
    return tuple(sorted(name for name in names if hasattr(_module(name), "scenarios")))


@cache
def scenarios_of(module: str, quick: bool) -> Mapping[str, Scenario]:
    """The scenarios of a module by name.

    Raises:
        ValueError: two of one name.
    """
    found: dict[str, Scenario] = {}
    for item in _module(module).scenarios(quick):
        if item.name in found:
            raise ValueError(f"{module} has two scenarios of the name '{item.name}'")
        found[item.name] = item
    return found


def play(key: Key, quick: bool, seed: int) -> Played:
    """Play a scenario; the same seed gives the same audits, whatever else is played."""
    scenario = scenarios_of(key.module, quick)[key.name]
    rng = np.random.default_rng([seed, mixed(key)])
    started = time.perf_counter()
    events = sum(bool(scenario.run(rng)) for _ in range(scenario.runs))
    seconds = time.perf_counter() - started
    return Played(key, scenario.at_most, scenario.at_least, scenario.runs, events, seconds)


def mixed(key: Key) -> int:
    """A number of its own for each scenario, in no order."""
    return zlib.crc32("/".join(key).encode())


def _module(name: str) -> Any:
    return importlib.import_module(f"{false_pass.__name__}.{name}")
