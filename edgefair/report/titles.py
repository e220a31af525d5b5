"""What people are shown as the name of a gate; programs know it by its id."""

from __future__ import annotations

from edgefair.probe.bundles.gates import (
    ABSOLUTE,
    ACCURACY_DROP,
    COLLAPSE,
    EXCESS_LOSS,
    FLOOR,
    GROUP_ACCURACY,
    GROUP_DROP,
    LATENCY,
    LOAD,
    MEMORY,
    PAIRED,
    SIZE,
)

TITLES = {
    ABSOLUTE: "equalized-odds gap",
    PAIRED: "equalized-odds increase",
    COLLAPSE: "more than one class predicted",
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


def title_of(gate: str) -> str:
    """The title of the gate of this id; the gate of a metric is shown by the metric's name."""
    return TITLES.get(gate, gate)
