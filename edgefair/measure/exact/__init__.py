"""Differences of two binomial rates that are shown to be small with an error that is known: the exact test."""

from __future__ import annotations

from edgefair.measure.exact.pairs import confirmed, error_of_pass
from edgefair.measure.exact.steps import corners, staircase

__all__ = ["confirmed", "corners", "error_of_pass", "staircase"]
