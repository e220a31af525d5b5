"""The gate as an assertion, for test suites."""

from __future__ import annotations

import datetime

from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.decision.verdict import Outcome, Verdict
from edgefair.measure.counts import GroupCounts


def assert_fair(evidence: Evidence | GroupCounts, policy: Policy, *, today: datetime.date | None = None) -> Verdict:
    """Fail the calling test unless the policy lets the measurement through; the verdict of `decide`.

    Raises:
        AssertionError: FAIL, or INCONCLUSIVE under a policy that blocks it, with the reason of every gate in the way.
        PolicyError, DataError: as `decide`.
    """
    verdict = decide(evidence, policy, today=today)
    if not verdict.may_ship:
        reasons = [
            f"  {gate.outcome} {gate.id}: {gate.reason}" for gate in verdict.gates if gate.outcome is not Outcome.PASS
        ]
        raise AssertionError("\n".join([f"{verdict.outcome} (exit code {verdict.exit_code})", *reasons]))
    return verdict
