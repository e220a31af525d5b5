"""What a person may do after a verdict, gate by gate."""

from __future__ import annotations

from collections.abc import Iterator

from edgefair.decision.verdict import Gate, Outcome
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
from edgefair.report.results.verification import Report

EXPLAIN = (
    "`edgefair explain` shows which layer hurts whom; a repair, a higher precision or less pruning may keep the gate"
)
DEBIAS = (
    "if the model before compression has the gap too, train it with a debiasing method (docs/debias.md); if not, "
    "`edgefair explain` shows which layer makes it"
)
COLLAPSED = (
    "the model decides one class for everybody: it learned nothing, or compression broke it; train it longer, then "
    "look at `edgefair explain`"
)
NEGLECTED = (
    "one group is served too badly: more or cleaner rows of that group, a larger network, or a group-robust method"
)
SLOW = "prune more, quantize, or choose a faster target; see the latency of candidate and reference"
LARGE = "prune more, or choose a lower precision"
SHIPS = "ship it: `edgefair sign` signs the bundle, and the device's loader refuses anything else"
NOT_ATTESTED = "measure the file itself on a target, or `edgefair export` it there: brought decisions make no bundle"
WITHOUT_ROWS = (
    "collect audit rows of the groups that lack them; `edgefair plan` says how many, before anything is measured"
)
MORE_ROWS = "the rows do not show it either way: `edgefair plan` says how many would, for the whole release"
SEALED = "look at validation rows: `edgefair explain` and the repair cost nothing of the seal and show everything"
FAILED = {
    ABSOLUTE: DEBIAS,
    PAIRED: EXPLAIN,
    COLLAPSE: COLLAPSED,
    FLOOR: NEGLECTED,
    GROUP_ACCURACY: NEGLECTED,
    ACCURACY_DROP: EXPLAIN,
    GROUP_DROP: EXPLAIN,
    EXCESS_LOSS: EXPLAIN,
    LATENCY: SLOW,
    SIZE: LARGE,
    LOAD: LARGE,
    MEMORY: LARGE,
}


def next_steps(report: Report) -> tuple[str, ...]:
    """What to do, most pressing first; each step once."""
    if report.exit_code == 0 and report.outcome is Outcome.PASS:
        return (SHIPS if report.decisions is None else NOT_ATTESTED,)
    if report.seal is not None and not report.targets:
        return (SEALED,)
    gates = [gate for target in report.targets for gate in target.verdict.gates if gate.outcome is not Outcome.PASS]
    gates.sort(key=lambda gate: gate.outcome is not Outcome.FAIL)
    return tuple(dict.fromkeys(step for gate in gates for step in _steps(gate)))


def _steps(gate: Gate) -> Iterator[str]:
    if gate.outcome is Outcome.FAIL:
        yield FAILED.get(gate.id, DEBIAS)
        return
    if gate.reason.startswith("not_measured: "):
        yield gate.reason.removeprefix("not_measured: ")
        return
    yield WITHOUT_ROWS if gate.binding is not None and gate.binding.code.lacks_rows else MORE_ROWS
