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
from edgefair.report.judged import Status, all_judged


class CodeQuality:
    """An issue for every gate that is not green."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write the list, which is empty where all is green."""
        stream.write(json.dumps([issue for item in items for issue in _issues(item)], indent=1) + "\n")


def _issues(item: Item) -> Iterator[dict[str, Any]]:
    for found in all_judged(item.report):
        if found.status is Status.PASS:
            continue
        place = [one_line(part) for part in (item.named(found.target.target), item.policy.file, found.gate.id)]
        yield {
            "description": one_line(item.named(f"{found.status} on {found.target.target}: {found.sentence}")),
            "check_name": one_line(f"edgefair/{found.gate.id}"),
            "fingerprint": sha256_json(place),
            "severity": ("critical" if found.status is Status.INCONCLUSIVE else "blocker") if found.blocks else "minor",
            "location": {"path": one_line(item.policy.file), "lines": {"begin": item.policy.of(found.gate.id)}},
        }
