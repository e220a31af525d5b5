"""What a verification found, as one value that every format prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from edgefair.decision.verdict import EXIT_CODES, Outcome, Verdict, worst
from edgefair.files import sha256_json
from edgefair.measure.bootstrap import GapBootstrap
from edgefair.measure.disagreement import Disagreement
from edgefair.measure.flips import CellFlips
from edgefair.measure.latency import LatencySummary, SpeedUp
from edgefair.probe.bundles.consistency import REPORT_SCHEMA
from edgefair.report.results.base import read_fields
from edgefair.report.results.earlier import in_todays_words


@dataclass(frozen=True)
class ModelFile:
    """A model file as the devices loaded it."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class AuditRows:
    """The rows that decided.

    Attributes:
        fingerprint: sha256 of their content, whatever their order.
    """

    source: str
    rows: int
    fingerprint: str


@dataclass(frozen=True)
class DataSection:
    """How the rows were chosen, named and parted: what else than the model decides a verdict.

    Attributes:
        section: the config's `data:`, defaults written out.
        rows: rows that each part took (train, validation, audit), and those that none did.
    """

    section: dict[str, Any]
    rows: dict[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 of the section."""
        return sha256_json(self.section)


@dataclass(frozen=True)
class LedgerCount:
    """Verdicts taken on these audit rows, this one included, and the distinct models among them.

    Verdicts on other audit sets count where those hold some of the same rows (`workflow.measurement.ledger`): a split
    that is drawn again makes no fresh rows. Each verdict on the same rows spends some of their independence:
    whoever tries often enough will PASS by chance.
    """

    verdicts: int
    models: int


@dataclass(frozen=True)
class TargetResult:
    """Verdict and measurement on one target.

    Attributes:
        device: its fingerprint.
        budgets: what its profile lets a model cost there, under the policy's keys; gates beside the policy's.
        counts: decisions by group and label, as `GroupCounts.to_json`.
        evidence: what else the verdict rests on, as `Evidence.to_json`: with counts and policy it can be taken again.
        flips: decisions that compression changed, by group and label; empty without a reference.
        bootstrap: attribute -> interval of the gap by resampling; information beside the verdict.
        timings_s: seconds of each phase.
    """

    target: str
    device: dict[str, Any]
    budgets: dict[str, float]
    verdict: Verdict
    counts: dict[str, Any]
    evidence: dict[str, Any]
    flips: tuple[CellFlips, ...]
    bootstrap: dict[str, GapBootstrap]
    latency: LatencySummary | None
    reference_latency: LatencySummary | None
    speed_up: SpeedUp | None
    timings_s: dict[str, float]


@dataclass(frozen=True)
class Report:
    """The result of `edgefair verify` or `edgefair export`; the worst target's verdict is the release's.

    Attributes:
        command: `verify` or `export`.
        created: UTC, ISO 8601.
        reference: the model before compression, if one was measured beside it.
        data: how the audit rows were chosen.
        policy: the policy, defaults written out.
        settings: how the model was made, as far as it is known.
        ledger: how often this audit set was used; None where it could not be kept.
        disagreements: pairs of targets, and the rows that they decide differently; empty for one target.
        notes: facts that a reader must know beside the verdict.
    """

    schema: ClassVar[str] = REPORT_SCHEMA
    view: ClassVar[str] = "edgefair.report.terminal.verification"

    command: str
    version: str
    created: str
    model: ModelFile
    reference: ModelFile | None
    audit: AuditRows
    data: DataSection
    policy: dict[str, Any]
    targets: tuple[TargetResult, ...]
    disagreements: tuple[Disagreement, ...]
    settings: dict[str, Any]
    ledger: LedgerCount | None
    notes: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst target's."""
        return worst(item.verdict.outcome for item in self.targets)

    @property
    def exit_code(self) -> int:
        """1 where a target FAILs, else 3 where one is INCONCLUSIVE and blocks, else 0."""
        codes = {item.verdict.exit_code for item in self.targets}
        return 1 if 1 in codes else max(codes, default=3)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, no NaN."""
        body = asdict(self)
        body["targets"] = [
            {**entry, "verdict": item.verdict.to_json()}
            for entry, item in zip(body["targets"], self.targets, strict=True)
        ]
        body["data"]["sha256"] = self.data.digest
        return {"schema": REPORT_SCHEMA, "outcome": self.outcome, "exit_code": self.exit_code, **body}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote, now or in an earlier version.

        It is shown, not judged again (`bundle.redecision` does that); but what its head says is what its gates say.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: not a report, or one that contradicts itself.
        """
        report = read_fields(cls, in_todays_words(data))
        for item in report.targets:
            verdict = item.verdict
            found = worst(gate.outcome for gate in verdict.gates)
            through = found is Outcome.INCONCLUSIVE and report.policy.get("on_inconclusive") == "warn"
            code = 0 if through else EXIT_CODES[found]
            if (verdict.outcome, verdict.exit_code) != (found, code):
                said = f"target '{item.target}' is {verdict.outcome} (exit code {verdict.exit_code})"
                raise ValueError(f"{said}, and {found} ({code}) by its gates")
        if (data["outcome"], data["exit_code"]) != (report.outcome, report.exit_code):
            said = f"it is {data['outcome']} (exit code {data['exit_code']})"
            raise ValueError(f"{said}, and {report.outcome} ({report.exit_code}) by its targets")
        return report
