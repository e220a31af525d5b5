"""Structured pruning: whole channels and attention heads are removed, so the file shrinks and the latency falls.

`units` finds what must leave together, an importance (one file each) scores it, `choose` decides how much of each unit
stays, and `cut` removes the rest.
"""

from __future__ import annotations

from typing import Literal

Scope = Literal["local", "global"]
Measure = Literal["macs", "parameters", "latency"]
Importance = Literal["magnitude", "taylor", "fairgrape", "fairprune", "adversarial", "adversarial-frozen", "random"]
