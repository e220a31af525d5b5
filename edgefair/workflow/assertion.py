"""The gate as an assertion, for test suites."""

from __future__ import annotations

import datetime
from typing import overload

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Outcome, Verdict
from edgefair.errors import UsageError
from edgefair.measure.counts import GroupCounts
from edgefair.report.judged import SEALED
from edgefair.report.results.verification import Report


@overload
def assert_fair(judged: Report) -> Report: ...
@overload
def assert_fair(judged: Evidence | GroupCounts, policy: Policy, *, today: datetime.date | None = None) -> Verdict: ...
def assert_fair(
    judged: Report | Evidence | GroupCounts, policy: Policy | None = None, *, today: datetime.date | None = None
) -> Report | Verdict:
    """Fail the calling test unless the policy lets what was measured through.

    Args:
        judged: a report of `verify`, whose verdict stands; or a measurement, or counts alone, that is judged now.
        policy: what judges it; a report has its own.
        today: the day on which waivers must still hold.

    Returns:
        The report, or the verdict of `decide`.

    Raises:
        AssertionError: FAIL, or INCONCLUSIVE under a policy that blocks it, with the reason of every gate in the way.
        UsageError: a report and a policy, or a measurement and none.
        PolicyError, DataError: as `decide`.
    """
    if isinstance(judged, Report):
        if policy is not None:
            raise UsageError("a report was judged by its own policy", fix="assert_fair(report)")
        if judged.exit_code != 0:
            named = [(item.target, item.verdict) for item in judged.targets]
            lines = [line for name, verdict in named for line in _lines(verdict, name)]
            raise AssertionError("\n".join(lines or [f"{judged.outcome} (exit code {judged.exit_code})", SEALED]))
        return judged
    if policy is None:
        raise UsageError("a measurement is judged by a policy", fix="assert_fair(counts, policy)")
    verdict = decide(judged, policy, today=today)
    if not verdict.may_ship:
        raise AssertionError("\n".join(_lines(verdict)))
    return verdict


def _lines(verdict: Verdict, target: str | None = None) -> list[str]:
    """The outcome, and every gate that is in the way."""
    where = "" if target is None else f"target '{target}': "
    reasons = [
        f"  {gate.outcome} {gate.id}: {gate.reason}" for gate in verdict.gates if gate.outcome is not Outcome.PASS
    ]
    return [f"{where}{verdict.outcome} (exit code {verdict.exit_code})", *reasons]
