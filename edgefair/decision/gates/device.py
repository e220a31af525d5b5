"""Gates of what the model costs on the device."""

from __future__ import annotations

import numpy as np

from edgefair.decision.evidence import Evidence
from edgefair.decision.gates import LATENCY, SIZE, judge_bounds, unmeasured
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Gate, Outcome


def latency_p90(evidence: Evidence, policy: Policy, threshold: float) -> Gate:
    """The 90th percentile of single-query latency."""
    latency = evidence.latency
    if latency is None or latency.p90_ms is None:
        default = "latency was not measured" if latency is None else f"{latency.queries} queries are too few for a p90"
        return unmeasured(LATENCY, "ms", threshold, evidence.why_missing(LATENCY, default))
    lower, upper = latency.p90_lower_ms, latency.p90_upper_ms
    drift = f"; it drifted by {latency.drift:+.0%} while it was measured" if latency.drifted else ""
    return Gate(
        name=LATENCY,
        outcome=judge_bounds(
            policy,
            latency.p90_ms,
            lower if lower is not None else -np.inf,
            upper if upper is not None else np.inf,
            threshold,
        ),
        unit="ms",
        estimate=latency.p90_ms,
        lower=lower,
        upper=upper,
        threshold=threshold,
        reason=f"{latency.queries:,} queries, batch 1{drift}",
    )


def size(evidence: Evidence, threshold: int) -> Gate:
    """Bytes of the model file."""
    found = evidence.size_bytes
    if found is None:
        return unmeasured(SIZE, "bytes", float(threshold), evidence.why_missing(SIZE, "the size is not known"))
    return Gate(
        name=SIZE,
        outcome=Outcome.PASS if found <= threshold else Outcome.FAIL,
        unit="bytes",
        estimate=float(found),
        lower=None,
        upper=None,
        threshold=float(threshold),
        reason=f"{found:,} bytes of {threshold:,}",
    )
