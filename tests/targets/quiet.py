"""Query times of a quiet machine, in the place of those of this one, whatever else it does.

How long a query takes here, and how alike the times are, depends on everything that runs beside a test. What a verdict
makes of times is a law of the times alone, so those of `quiet()` are told by every probe, and always the same.
"""

import contextlib
import math

import numpy as np
import pytest
from scipy.special import ndtri

from edgefair.targets import Probe

MEDIAN_MS, SPREAD, LEAST = 1.0, 0.1, 1024
GOLDEN = (math.sqrt(5) - 1) / 2


def recorded(rules):
    """Nanoseconds of as many queries as the rules of a profile ask for, and enough to judge by: log-normal, 1 ms.

    Slow ones come at regular distances: they tell as much as independent ones.
    """
    long = math.ceil(1.1 * rules.min_seconds * 1e3 / MEDIAN_MS)
    shares = np.arange(1, max(LEAST, rules.min_queries, rules.min_effective_queries, long) + 1) * GOLDEN % 1
    return (1e6 * MEDIAN_MS * np.exp(SPREAD * ndtri(shares))).astype(np.int64)


@contextlib.contextmanager
def quiet():
    """Every probe is asked for one query of each model, so that a wrong request fails, and tells recorded times."""
    honest = Probe.latency

    def told(self, outputs, pool, **how):
        profile, rules = self.profile, self.profile.latency
        once = {"warmup": 0, "min_queries": 1, "min_seconds": 0.0, "min_effective_queries": 0}
        try:
            self.profile = profile.model_copy(update={"latency": rules.model_copy(update=once)})
            asked = honest(self, outputs, pool, **how)
        finally:
            self.profile = profile
        return {name: recorded(rules) for name in asked}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Probe, "latency", told)
        yield


@pytest.fixture
def quiet_device():
    """`quiet()` for one test."""
    with quiet():
        yield
