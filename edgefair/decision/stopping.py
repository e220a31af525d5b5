"""May a measurement that goes step by step stop at this verdict?"""

from __future__ import annotations

from edgefair.decision.verdict import Outcome, Verdict, worst
from edgefair.probe.bundles.gates import COLLAPSE, LATENCY, LOAD, MEMORY

# What is measured once, whatever the rows are.
ONCE = frozenset([LATENCY, LOAD, MEMORY])


def may_stop(verdict: Verdict) -> bool:
    """Whether more rows have nothing to decide: what decisions are judged by is kept, or something is broken.

    What the device is asked once is no reason to go on. Few rows may all be decided alike where many are not: that is
    no FAIL before all of them are there.
    """
    gates = [gate for gate in verdict.gates if gate.id not in ONCE]
    broken = any(gate.outcome is Outcome.FAIL for gate in gates if gate.id != COLLAPSE)
    return broken or worst(gate.outcome for gate in gates) is Outcome.PASS
