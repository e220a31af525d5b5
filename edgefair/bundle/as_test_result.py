"""A verdict as an in-toto test result, which policy engines and release tools read without knowing edgefair.

Predicate `test-result/v0.1`: https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgefair.decision.verdict import Outcome
from edgefair.probe.bundles.attestation import STATEMENT_TYPE
from edgefair.probe.bundles.consistency import policy_digest
from edgefair.probe.bundles.gates import gate_id

PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
PASSED, WARNED, FAILED = "PASSED", "WARNED", "FAILED"


def as_test_result(report: Mapping[str, Any], subjects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The statement about the files that were judged, as JSON.

    A test is a gate on a target. What is INCONCLUSIVE is a warning where the policy lets it through, and has failed
    where it blocks: nothing was shown.

    Args:
        report: as JSON.
        subjects: what was judged, with digests.
    """
    through = report["exit_code"] == 0
    tests: dict[str, list[str]] = {PASSED: [], WARNED: [], FAILED: []}
    for target in report["targets"]:
        for gate in target["verdict"]["gates"]:
            tests[_result(gate["outcome"], through=through)].append(f"{target['target']}/{gate_id(gate)}")
    return {
        "_type": STATEMENT_TYPE,
        "subject": list(subjects),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": _result(report["outcome"], through=through),
            "configuration": [
                {"name": "policy", "digest": {"sha256": policy_digest(report["policy"])}},
                {"name": "audit rows", "digest": {"sha256": report["audit"]["fingerprint"]}},
                {"name": "data section", "digest": {"sha256": report["data"]["sha256"]}},
            ],
            "passedTests": tests[PASSED],
            "warnedTests": tests[WARNED],
            "failedTests": tests[FAILED],
        },
    }


def _result(outcome: str, *, through: bool) -> str:
    if outcome == Outcome.PASS:
        return PASSED
    return WARNED if through and outcome == Outcome.INCONCLUSIVE else FAILED
