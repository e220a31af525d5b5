"""GitLab's code quality report: what a merge request shows beside the line of edgefair.yaml that asks for a gate.

The part of Code Climate's format that GitLab reads (https://docs.gitlab.com/ci/testing/code_quality/): description,
check_name, fingerprint, severity, location.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from edgefair.files import sha256_json
from edgefair.report.escape import one_line
from edgefair.report.formats.base import Item
from edgefair.report.judged import NOT_SHOWN, SEALED, Status, all_judged


class CodeQuality:
    """An issue for every gate that is not green."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write the list, which is empty where all is green."""
        stream.write(json.dumps([issue for item in items for issue in _issues(item)], indent=1) + "\n")


def _issues(item: Item) -> Iterator[dict[str, Any]]:
    if not item.report.targets:
        yield _issue(item, NOT_SHOWN, SEALED, severity="critical", of=item.named(NOT_SHOWN))
    for found in all_judged(item.report):
        if found.status is Status.PASS:
            continue
        severity = ("critical" if found.status is Status.INCONCLUSIVE else "blocker") if found.blocks else "minor"
        said, of = f"{found.status} on {found.target.target}: {found.sentence}", item.named(found.target.target)
        yield _issue(item, found.gate.id, said, severity=severity, of=of)


def _issue(item: Item, gate: str, said: str, *, severity: str, of: str) -> dict[str, Any]:
    return {
        "description": one_line(item.named(said)),
        "check_name": one_line(f"edgefair/{gate}"),
        "fingerprint": sha256_json([one_line(part) for part in (of, item.policy.file, gate)]),
        "severity": severity,
        "location": {"path": one_line(item.policy.file), "lines": {"begin": item.policy.of(gate)}},
    }
