"""Treatments that a search tries, the mildest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Methods with their options, by the name that people are shown. Not among them: what asks for a decision of its owner
# (per-group thresholds), and what only some data take (augment).
RECIPES: Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]] = {
    "plain": (),
    "reweigh": (("reweigh", {}),),
    "reweigh, parity": (("reweigh", {"target": "parity"}),),
    "eo-penalty": (("eo-penalty", {}),),
    "reweigh + eo-penalty": (("reweigh", {}), ("eo-penalty", {})),
    "reweigh + eo-penalty, strict": (("reweigh", {}), ("eo-penalty", {"eps": 0.0, "dual_lr": 0.1})),
    "reweigh, parity + eo-penalty, strict": (
        ("reweigh", {"target": "parity"}),
        ("eo-penalty", {"eps": 0.0, "dual_lr": 0.1}),
    ),
    "reweigh + adversarial": (("reweigh", {}), ("adversarial", {})),
    "group-dro": (("group-dro", {}),),
}
