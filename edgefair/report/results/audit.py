"""What is known of the audit rows of a project: sealed, asked how often, or opened."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

AUDIT_SCHEMA = "edgefair.audit/1"


@dataclass(frozen=True)
class AuditStatus:
    """The result of `edgefair audit`.

    Attributes:
        account: the file.
        head: digest of its last line.
        source: where the audit rows come from.
        rows: how many they are.
        fingerprint: sha256 of their content.
        policy: `sealed` or `open`, as the config says.
        alpha: of the policy.
        asked: sealed verdicts on these rows, and on sets that hold some of them.
        next_level: error probability of the next one; None where it is spent, or the seal was opened.
        opened: how the seal was opened, in words; None where it was not.
    """

    schema: ClassVar[str] = AUDIT_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.audit"

    account: str
    head: str
    source: str
    rows: int
    fingerprint: str
    policy: str
    alpha: float
    asked: int
    next_level: float | None
    opened: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"schema": AUDIT_SCHEMA, **asdict(self)}
