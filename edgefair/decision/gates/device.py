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
from edgefair.decision.verdict import Gate, Outcome, worst
from edgefair.measure.latency import LEAST_FOR_P90
from edgefair.measure.pooled import said_of_worst
from edgefair.probe.bundles.gates import LATENCY, LOAD, MEMORY, SIZE

MB = 1e6


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

    @property
    def max_load_ms(self) -> float | None:
        """Longest time to load the model."""
        ...

    @property
    def max_peak_memory_mb(self) -> float | None:
        """Most memory that the model adds to a process."""
        ...


def claims(evidence: Evidence, policy: Policy, budget: Limits | None) -> int:
    """How many of these gates may FAIL by chance: latency and loading where they are asked for, unless they can't be.

    A look counts it too, as latency is measured after the last one. A summary with limits at one level, as reports of
    before hold, takes no part: its FAIL has an error of its own.
    """
    found = evidence.latency
    apart = found is not None and found.ladder is None
    timed = _asked("max_latency_p90_ms", policy, budget) and not apart and _judged_somewhere(evidence, LATENCY)
    loaded = _asked("max_load_ms", policy, budget) and _judged_somewhere(evidence, LOAD)
    return int(timed) + int(loaded)


def _judged_somewhere(evidence: Evidence, gate: str) -> bool:
    return any(gate not in dict(own.not_measured) for own in evidence.of_devices.values())


def cost(evidence: Evidence, policy: Policy, budget: Limits | None, claims: float) -> list[Gate]:
    """The gates of latency, size, loading and memory that the policy or the target's budget asks for, in a fixed order.

    Where both name one, the stricter holds: a budget never loosens the policy, and no flag lifts a budget.

    Args:
        claims: how many share the error of FAIL.
    """
    # A pool's gate may FAIL by any of its devices.
    share = claims * len(evidence.of_devices)
    judges: dict[str, Callable[[float], Gate]] = {
        "max_latency_p90_ms": partial(_worst, evidence, lambda own, most: latency_p90(own, policy, share, most)),
        "max_size_bytes": partial(file_size, evidence),
        "max_load_ms": partial(_worst, evidence, lambda own, most: load_time(own, policy, share, most)),
        "max_peak_memory_mb": partial(_worst, evidence, peak_memory),
    }
    gates = [_stricter(*_thresholds(key, policy, budget), judge) for key, judge in judges.items()]
    return [gate for gate in gates if gate is not None]


def _worst(evidence: Evidence, judge: Callable[[Evidence, float], Gate], threshold: float) -> Gate:
    """The gate of the worst device: a pool PASSes where each of its devices does."""
    judged = {name: judge(own, threshold) for name, own in evidence.of_devices.items()}
    outcome = worst(gate.outcome for gate in judged.values())
    found = {name: gate for name, gate in judged.items() if gate.outcome is outcome}
    name = max(found, key=lambda name: np.inf if (number := found[name].estimate) is None else number)
    if not name:
        return found[name]
    return replace(found[name], reason=f"{found[name].reason}; {said_of_worst(name, len(judged))}")


def _thresholds(key: str, policy: Policy, budget: Limits | None) -> tuple[float | None, float | None]:
    """The policy's and the budget's."""
    return getattr(policy, key), None if budget is None else getattr(budget, key)


def _asked(key: str, policy: Policy, budget: Limits | None) -> bool:
    return _thresholds(key, policy, budget) != (None, None)


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


def latency_p90(evidence: Evidence, policy: Policy, claims: float, threshold: float) -> Gate:
    """The 90th percentile of single-query latency.

    PASS with the upper limit at alpha, FAIL with the lower one at alpha / claims, as every gate. The summary does not
    keep the query times, but limits at the levels alpha / 2^k: the next one down is taken.
    """
    latency = evidence.latency
    if LATENCY in dict(evidence.not_measured) or latency is None or latency.p90_ms is None:
        default = "latency was not measured" if latency is None else f"{latency.queries} queries are too few for a p90"
        return unmeasured(LATENCY, "ms", threshold, evidence.why_missing(LATENCY, default))
    lower, upper = latency.limits(policy.alpha / claims)[0], latency.limits(policy.alpha)[1]
    told = "" if latency.effective_queries is None else f" (as many as {latency.effective_queries:,} independent)"
    lacking = f": too few, {LEAST_FOR_P90} independent ones are needed" if latency.too_few else ""
    drift = f"; it drifted by {latency.drift:+.0%} while it was measured" if latency.drifted else ""
    return Gate(
        id=LATENCY,
        outcome=Outcome.INCONCLUSIVE
        if latency.too_few
        else judge_bounds(policy, latency.p90_ms, lower, upper, threshold),
        unit="ms",
        estimate=latency.p90_ms,
        lower=lower if np.isfinite(lower) else None,
        upper=upper if np.isfinite(upper) else None,
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


def load_time(evidence: Evidence, policy: Policy, claims: float, threshold: float) -> Gate:
    """The median time to load the model: PASS with the upper limit at alpha, FAIL with the lower at alpha / claims."""
    found = evidence.footprint
    if found is None:
        return unmeasured(LOAD, "ms", threshold, evidence.why_missing(LOAD, "loading was not timed"))
    lower, upper = found.load_limits(policy.alpha / claims)[0], found.load_limits(policy.alpha)[1]
    return Gate(
        id=LOAD,
        outcome=judge_bounds(policy, found.median_load_ms, lower, upper, threshold),
        unit="ms",
        estimate=found.median_load_ms,
        lower=lower if np.isfinite(lower) else None,
        upper=upper if np.isfinite(upper) else None,
        threshold=threshold,
        reason=f"median of {len(found.load_ms)} loads",
    )


def peak_memory(evidence: Evidence, threshold: float) -> Gate:
    """Memory that loading and querying the model adds to a process, at its peak, in 10^6 bytes."""
    found = None if evidence.footprint is None else evidence.footprint.peak_bytes
    if found is None:
        default = "memory was not measured" if evidence.footprint is None else "the device does not tell its memory"
        return unmeasured(MEMORY, "MB", threshold, evidence.why_missing(MEMORY, default))
    return Gate(
        id=MEMORY,
        outcome=Outcome.PASS if found / MB <= threshold else Outcome.FAIL,
        unit="MB",
        estimate=found / MB,
        lower=None,
        upper=None,
        threshold=threshold,
        reason="the first load and the first queries, one row each",
    )
