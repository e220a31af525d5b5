"""The gates of a verdict by their ids, and how a report spells them: whoever judges or loads a model reads this."""

from __future__ import annotations

from typing import Any, Mapping

ABSOLUTE, PAIRED = "eo_gap", "eo_increase"
COLLAPSE = "decisions_vary"
FLOOR, GROUP_ACCURACY = "balanced_accuracy_floor", "group_accuracy_floor"
ACCURACY_DROP, GROUP_DROP, EXCESS_LOSS = "accuracy_drop", "group_accuracy_drop", "excess_loss"
LATENCY, SIZE = "latency_p90", "size"
LOAD, MEMORY = "load_time", "peak_memory"

# Gates by the key of the policy that asks for them; the first three are always there.
ALWAYS = (ABSOLUTE, COLLAPSE, FLOOR)
ASKED = {
    "min_balanced_accuracy": FLOOR,
    "max_eo_increase": PAIRED,
    "min_group_accuracy": GROUP_ACCURACY,
    "max_accuracy_drop": ACCURACY_DROP,
    "max_group_accuracy_drop": GROUP_DROP,
    "max_excess_loss": EXCESS_LOSS,
    "max_latency_p90_ms": LATENCY,
    "max_size_bytes": SIZE,
    "max_load_ms": LOAD,
    "max_peak_memory_mb": MEMORY,
}

# Which way a number keeps its threshold.
AT_MOST, AT_LEAST = "at_most", "at_least"
_FLOORS = frozenset([COLLAPSE, FLOOR, GROUP_ACCURACY])

# Codes of comparisons: within the threshold, and those whose rows do not suffice to judge them.
WITHIN, TOO_FEW, UNDEFINED_CELL = "within_threshold", "too_few", "undefined_cell"

# The `name` of a gate in `edgefair.report/2`, which had no ids at first. Part of that format, whatever people are
# shown; the gate of a metric has the metric's name for both.
NAMES = {
    ABSOLUTE: "equalized-odds gap",
    PAIRED: "equalized-odds increase",
    COLLAPSE: "decisions vary",
    FLOOR: "worst-group balanced accuracy",
    GROUP_ACCURACY: "worst-group accuracy",
    ACCURACY_DROP: "accuracy drop",
    GROUP_DROP: "worst-group accuracy drop",
    EXCESS_LOSS: "worst-group excess loss",
    LATENCY: "latency p90",
    SIZE: "size",
    LOAD: "load time",
    MEMORY: "peak memory",
}
_IDS = {name: gate for gate, name in NAMES.items()}


def direction_of(gate: str) -> str:
    """Whether the gate of this id wants its number to be at least the threshold, or at most."""
    return AT_LEAST if gate in _FLOORS else AT_MOST


def name_of(gate: str) -> str:
    """What a report calls the gate of this id beside it."""
    return NAMES.get(gate, gate)


def id_of(name: str) -> str:
    """The id of the gate that a report calls by this name."""
    return _IDS.get(name, name)


def gate_id(gate: Mapping[str, Any]) -> str:
    """The id of a gate as a report holds it.

    Raises:
        KeyError: it has no name.
        ValueError: its id, its name and its direction are not those of one gate.
    """
    found = id_of(gate["name"])
    if gate.get("id", found) != found or gate.get("direction", direction_of(found)) != direction_of(found):
        raise ValueError(f"the gate '{gate['name']}' is called {gate.get('id')!r}, {gate.get('direction')!r}")
    return found


def comparison_code(comparison: Mapping[str, Any]) -> str:
    """Why a comparison has the outcome that it has, as a report holds it: until it said `code`, `reason` began with it.

    Raises:
        KeyError: it has no reason.
        ValueError: its code and its reason differ.
    """
    found = comparison["reason"].partition(":")[0]
    if comparison.get("code", found or WITHIN) != (found or WITHIN):
        raise ValueError(f"a comparison is {comparison['code']!r}, for the reason {comparison['reason']!r}")
    return found or WITHIN
