"""Gates of what the model costs on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np

from edgefair.decision.evidence import Evidence
from edgefair.decision.gates import judge_bounds, unmeasured
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Gate, Outcome
from edgefair.measure.latency import LEAST_FOR_P90
from edgefair.probe.bundles.gates import LATENCY, SIZE


class Limits(Protocol):
    """What a model may cost on one device, by the policy's own keys. `targets.sections.Budgets` is one."""

    @property
    def max_latency_p90_ms(self) -> float | None:
        """Largest 90th percentile of latency, batch 1."""
        ...

    @property
    def max_size_bytes(self) -> int | None:
        """Largest model file."""
        ...


def cost(evidence: Evidence, policy: Policy, budget: Limits | None) -> list[Gate]:
    """The gates of latency and size that the policy or the target's budget asks for, in a fixed order.

    Where both name one, the stricter holds: a budget never loosens the policy, and no flag lifts a budget.
    """
    latency_budget, size_budget = (None, None) if budget is None else (budget.max_latency_p90_ms, budget.max_size_bytes)
    gates = [
        _stricter(policy.max_latency_p90_ms, latency_budget, partial(latency_p90, evidence, policy)),
        _stricter(policy.max_size_bytes, size_budget, partial(file_size, evidence)),
    ]
    return [gate for gate in gates if gate is not None]


def _stricter(own: float | None, budget: float | None, judge: Callable[[float], Gate]) -> Gate | None:
    """The gate of the policy's threshold or the budget, whichever is less; where there is a budget it says whose."""
    if own is None and budget is None:
        return None
    gate = judge(min(value for value in (own, budget) if value is not None))
    if budget is None:
        return gate
    if own is None:
        source = "the threshold is the target's budget"
    elif budget < own:
        source = f"the threshold is the target's budget, stricter than the policy's {own:,} {gate.unit}"
    else:
        source = f"the threshold is the policy's, within the target's budget of {budget:,} {gate.unit}"
    return replace(gate, reason=f"{gate.reason}; {source}")


def latency_p90(evidence: Evidence, policy: Policy, threshold: float) -> Gate:
    """The 90th percentile of single-query latency.

    Its limits were taken when it was summarized, from the ranks of the query times, at the policy's alpha; the summary
    does not keep the times, so neither a level of this verdict's own nor a share of the release's error of FAIL can be
    taken here. A release of T targets that is at all its thresholds FAILs with (1 + T) alpha at most where each judges
    latency: alpha for all gates of decisions, and alpha for the latency of each target.
    """
    latency = evidence.latency
    if LATENCY in dict(evidence.not_measured) or latency is None or latency.p90_ms is None:
        default = "latency was not measured" if latency is None else f"{latency.queries} queries are too few for a p90"
        return unmeasured(LATENCY, "ms", threshold, evidence.why_missing(LATENCY, default))
    lower, upper = latency.p90_lower_ms, latency.p90_upper_ms
    low, high = -np.inf if lower is None else lower, np.inf if upper is None else upper
    told = "" if latency.effective_queries is None else f" (as many as {latency.effective_queries:,} independent)"
    lacking = f": too few, {LEAST_FOR_P90} independent ones are needed" if latency.too_few else ""
    drift = f"; it drifted by {latency.drift:+.0%} while it was measured" if latency.drifted else ""
    return Gate(
        id=LATENCY,
        outcome=Outcome.INCONCLUSIVE if latency.too_few else judge_bounds(policy, latency.p90_ms, low, high, threshold),
        unit="ms",
        estimate=latency.p90_ms,
        lower=lower,
        upper=upper,
        threshold=threshold,
        reason=f"{latency.queries:,} queries{told}, batch 1{drift}{lacking}",
    )


def file_size(evidence: Evidence, threshold: float) -> Gate:
    """Bytes of the model file."""
    found = evidence.size_bytes
    if found is None:
        return unmeasured(SIZE, "bytes", threshold, evidence.why_missing(SIZE, "the size is not known"))
    return Gate(
        id=SIZE,
        outcome=Outcome.PASS if found <= threshold else Outcome.FAIL,
        unit="bytes",
        estimate=float(found),
        lower=None,
        upper=None,
        threshold=float(threshold),
        reason=f"{found:,} bytes of {threshold:,.0f}",
    )
