"""What a verification found, as one value that every format prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from edgefair.decision.verdict import EXIT_CODES, Outcome, Verdict, worst
from edgefair.files import sha256_json
from edgefair.measure.disagreement import Disagreement
from edgefair.measure.flips import CellFlips
from edgefair.measure.latency import LatencySummary, SpeedUp
from edgefair.measure.scores import Interval
from edgefair.measure.sequential.looks import Looks
from edgefair.probe.bundles.consistency import REPORT_SCHEMA
from edgefair.report.results.base import read_fields
from edgefair.report.results.earlier import in_todays_words

NOT_ATTESTED = "not attested: decisions were brought"


@dataclass(frozen=True)
class ModelFile:
    """A model file as the devices loaded it.

    Attributes:
        path: where decisions were brought and no model was named, that of the file of decisions.
        sha256, bytes: None where nobody knows which file made the decisions.
    """

    path: str
    sha256: str | None
    bytes: int | None

    @property
    def is_known(self) -> bool:
        """Whether there is a file to speak of."""
        return self.sha256 is not None

    def said(self, form: str) -> str:
        """Digest and size in words.

        Args:
            form: of both, as "sha256 {sha256}, {bytes} bytes".
        """
        if self.sha256 is None or self.bytes is None:
            return "no model file was named"
        return form.format(sha256=self.sha256, bytes=f"{self.bytes:,}")

    def times(self, other: ModelFile) -> float | None:
        """How many times the size of another file it has; None where one is not known."""
        return None if self.bytes is None or not other.bytes else self.bytes / other.bytes

    def is_same(self, other: ModelFile | None) -> bool:
        """Whether the two are known to be one file, byte for byte."""
        return other is not None and self.is_known and self.sha256 == other.sha256


@dataclass(frozen=True)
class BroughtFile:
    """The file of decisions of one target."""

    target: str
    path: str
    sha256: str


@dataclass(frozen=True)
class BroughtDecisions:
    """Files of decisions that were judged in the place of what a device was asked: nobody attests what made them.

    Attributes:
        path: of the file with the model's decisions; a model file that was named beside it is a claim.
        sha256: of that file.
        reference: sha256 of the file with the reference's decisions, if they were brought too.
        files: of every target, the first too, where several were brought; empty where one was.
    """

    path: str
    sha256: str
    reference: str | None = None
    files: tuple[BroughtFile, ...] = ()

    @property
    def digests(self) -> list[Any]:
        """Of all that was brought."""
        others = [item.sha256 for item in self.files[1:]]
        return [self.sha256, self.reference, *others]

    @property
    def note(self) -> str:
        """What every reader of the verdict must know."""
        files = self.files or (BroughtFile("", self.path, self.sha256),)
        named = ", ".join(f"'{item.path}' (sha256 {item.sha256[:16]})" for item in files)
        made = "it" if len(files) == 1 else "them"
        rests = f"the verdict rests on {named}, and nothing shows which model and which device made {made}"
        return f"{NOT_ATTESTED}: {rests}"


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

    Attributes:
        tries: models, each counted anew where the set was drawn or cut anew; None in reports of before.
        chance: largest probability that one of these tries PASSes though none should, if none was chosen by what these
            rows said of others; None under a seal, and in reports of before.
    """

    verdicts: int
    models: int
    tries: int | None = None
    chance: float | None = None


@dataclass(frozen=True)
class Seal:
    """How a verdict on sealed audit rows was paid for (`policy.audit: sealed`).

    Attributes:
        account: the file in which it was entered before it was taken.
        verdict: its number among the verdicts that were asked for on these rows, or on sets that hold some of them.
        level: its error probability, alpha / (verdict (verdict + 1)); None where that is spent, and nothing was judged.
        head: digest of the account's line about this answer: an account without that line was cut, or is another one.
    """

    account: str
    verdict: int
    level: float | None
    head: str


@dataclass(frozen=True)
class GroupScores:
    """How well the model's scores serve one group, whatever its threshold; limits two-sided at 1 - alpha.

    Attributes:
        positives, negatives: its rows.
        auc: P(a positive scores higher than a negative), equal ones half; None without rows of both.
        calibration: mean P(class 1) minus the rate of class 1; None with fewer than two rows.
    """

    group: str
    positives: int
    negatives: int
    auc: Interval | None
    calibration: Interval | None


@dataclass(frozen=True)
class Information:
    """What stands beside the verdict and is no part of it.

    Attributes:
        gaps: attribute -> the equalized-odds gap with two-sided limits at 1 - alpha; null where no pair has rows.
        scores: attribute -> its groups; empty where there are none.
        no_scores: why there are none; empty where there are.
    """

    gaps: dict[str, Interval | None]
    scores: dict[str, tuple[GroupScores, ...]]
    no_scores: str


@dataclass(frozen=True)
class TargetResult:
    """Verdict and measurement on one target.

    Attributes:
        device: its fingerprint.
        budgets: what its profile lets a model cost there, under the policy's keys; gates beside the policy's.
        counts: decisions by group and label, as `GroupCounts.to_json`.
        evidence: what else the verdict rests on, as `Evidence.to_json`: with counts and policy it can be taken again.
        flips: decisions that compression changed, by group and label; empty without a reference.
        information: what a reader may want to know beside the verdict.
        timings_s: seconds of each phase.
        looks: how far a sequential measurement went; None where all rows were measured at once.
    """

    target: str
    device: dict[str, Any]
    budgets: dict[str, float]
    verdict: Verdict
    counts: dict[str, Any]
    evidence: dict[str, Any]
    flips: tuple[CellFlips, ...]
    information: Information
    latency: LatencySummary | None
    reference_latency: LatencySummary | None
    speed_up: SpeedUp | None
    timings_s: dict[str, float]
    looks: Looks | None = None


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
        seal: of sealed audit rows. Until they PASS they answer one bit, and the report holds no targets: FAIL and
            INCONCLUSIVE are not told apart, and both are INCONCLUSIVE (3) here.
        decisions: where they were brought in a file; None where the targets were asked for them.
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
    seal: Seal | None = None
    decisions: BroughtDecisions | None = None

    @property
    def outcome(self) -> Outcome:
        """The worst target's; INCONCLUSIVE where a seal keeps them."""
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
            {
                **entry,
                "verdict": item.verdict.to_json(),
                "latency": _latency(item.latency),
                "reference_latency": _latency(item.reference_latency),
            }
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


def _latency(found: LatencySummary | None) -> dict[str, Any] | None:
    return None if found is None else found.to_json()
