"""What a verification found, as one value that every format prints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edgefair.decision.verdict import Verdict
from edgefair.measure.latency import LatencyComparison

REPORT_SCHEMA = "edgefair.report/1"


@dataclass(frozen=True)
class ModelFile:
    """A model file as the device loaded it."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class AuditRows:
    """The rows that decided.

    Attributes:
        source: where they come from.
        rows: how many.
        fingerprint: sha256 of their content.
    """

    source: str
    rows: int
    fingerprint: str


@dataclass(frozen=True)
class DeviceResult:
    """Verdict and measurement on one target."""

    target: str
    device: dict[str, Any]
    verdict: Verdict
    latency: LatencyComparison | None
    timings_s: dict[str, float]


@dataclass(frozen=True)
class Report:
    """The result of `edgefair verify` or `edgefair export`: a verdict per device, the worst is the release's.

    Attributes:
        notes: facts a reader must know beside the verdict (row overlap, slower INT8, recorded exceptions).
    """

    command: str
    version: str
    created: str
    outcome: str
    exit_code: int
    model: ModelFile
    reference: ModelFile | None
    audit: AuditRows
    policy: dict[str, Any]
    policy_digest: str
    results: tuple[DeviceResult, ...]
    notes: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
