"""Importances and low precisions by name, and how steps go together. Data: listing them imports none."""

from __future__ import annotations

from collections.abc import Mapping

# Steps that must be the last one, and what any training behind them would do.
LAST: Mapping[str, str] = {
    "sparsity": "training would fill the zeros again",
    "cluster": "training would break up the clusters again",
}
# Importance of `prune` -> `steps.pruning.Importance`.
IMPORTANCES: Mapping[str, str] = {
    "magnitude": "edgefair.compress.steps.pruning.magnitude:magnitude",
    "taylor": "edgefair.compress.steps.pruning.taylor:taylor",
    "fairgrape": "edgefair.compress.steps.pruning.fairgrape:fairgrape",
    "fairprune": "edgefair.compress.steps.pruning.fairprune:fairprune",
    "group-effect": "edgefair.compress.steps.pruning.group_effect:group_effect",
    "adversarial": "edgefair.compress.steps.pruning.adversarial:adversarial",
    "adversarial-frozen": "edgefair.compress.steps.pruning.adversarial:adversarial_frozen",
    "random": "edgefair.compress.steps.pruning.lots:lots",
}
# Keys that only some importances read.
IMPORTANCE_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "fairprune": ("beta",),
    "group-effect": ("beta",),
    "adversarial": ("adversary",),
    "adversarial-frozen": ("adversary",),
}
# Importances that choose among the random weights of the untrained network, which stay as they are.
RANDOM_WEIGHTS = frozenset({"adversarial-frozen"})
# Value of the key `int8` -> `low_precision.LowPrecision`, and that of the key `fp16`.
INT8: Mapping[str, str] = {
    "static": "edgefair.compress.low_precision.static:StaticInt8",
    "dynamic": "edgefair.compress.low_precision.dynamic:DynamicInt8",
    "a16w8": "edgefair.compress.low_precision.a16w8:A16W8",
    "w4": "edgefair.compress.low_precision.w4:FourBits",
}
LOW_PRECISIONS: Mapping[str, str] = {**INT8, "fp16": "edgefair.compress.low_precision.fp16:Fp16"}
# Those that rows calibrate, whose rounding `qat` can train for.
CALIBRATED = frozenset({"static", "a16w8"})


def step_name(key: str) -> str:
    """What folders, settings and notes call the step of a key."""
    return key.replace("_", "-")
