"""What a study found: every level, every planned contrast in a sentence, and what its plots are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

from edgefair.report.results.base import read_fields

STUDY_SCHEMA = "edgefair.study-report/1"
# An effect; one that is shown to be below delta; none above delta; neither of them shown.
Claim = Literal["effect", "small effect", "no effect above delta", "no claim"]
Limits = tuple[float, float]


@dataclass(frozen=True)
class StudyResponse:
    """A number of every cell.

    Attributes:
        words: what it is called.
        unit, scale: that it is shown in, and how many of them one is.
        is_share: a share of 1, whose effects are compared with `delta`.
        of_gap: a model that finds nobody has a small one: contrasts leave such cells out.
        higher_is_better: for the people whom it is about.
        planned: fixed before the run; contrasts are of planned responses alone.
    """

    name: str
    words: str
    unit: str
    scale: float
    is_share: bool
    of_gap: bool
    higher_is_better: bool
    planned: bool


@dataclass(frozen=True)
class Mean:
    """Over seeds, with 95 % t limits, which are None with one seed."""

    seeds: int
    value: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Level:
    """One condition: a level of every factor.

    Attributes:
        factors: factor -> level.
        done, failed, not_run: seeds of which that is so.
        collapsed: seeds whose model finds nobody: their small gap says nothing of fairness.
        values: response -> its mean over all seeds that are done, the collapsed ones too.
    """

    condition: str
    factors: dict[str, str]
    done: int
    failed: int
    not_run: int
    collapsed: int
    values: dict[str, Mean]


@dataclass(frozen=True)
class Finding:
    """One contrast of one response, in the response's own unit.

    Attributes:
        family: contrasts that are corrected together.
        planned: fixed before the run; otherwise exploratory.
        at: factor -> level of its first condition.
        varies: factors in which its conditions differ.
        claim: what the seeds can carry.
        sentence: all of it in words.
        by_seed: (seed, difference inside that seed).
        collapsed, missing: seeds left out, because a cell collapsed or has no number.
        lower, upper: t limits at 95 %, not adjusted.
        p, p_holm, p_signflip: of no difference; after Holm; of the family's sign flips.
        bound: smallest delta that two one-sided tests exclude.
        visible: smallest effect that these seeds find in 80 % of studies.
    """

    name: str
    family: str
    response: str
    planned: bool
    at: dict[str, str]
    varies: tuple[str, ...]
    claim: Claim
    sentence: str
    by_seed: tuple[tuple[int, float], ...]
    collapsed: tuple[int, ...]
    missing: tuple[int, ...]
    mean: float | None
    lower: float | None
    upper: float | None
    p: float | None
    p_holm: float | None
    p_signflip: float | None
    bound: float | None
    visible: float | None

    @property
    def is_effect(self) -> bool:
        """Whether an effect is shown."""
        return self.claim in {"effect", "small effect"}


@dataclass(frozen=True)
class Share:
    """Share of the variance of one effect.

    Attributes:
        factors: one, or several of an interaction.
        share: generalized eta squared.
        limits: 95 %, by bootstrap over seeds.
        chance: the share that an effect of nothing has on the average.
    """

    factors: tuple[str, ...]
    share: float
    limits: Limits | None
    chance: float


@dataclass(frozen=True)
class Shares:
    """Of one response.

    Attributes:
        seeds: of the balanced design.
        left_out: levels that a balanced design cannot hold, in words.
        why_none: why there are no shares; empty where there are.
    """

    response: str
    seeds: int
    left_out: tuple[str, ...]
    shares: tuple[Share, ...]
    why_none: str = ""


@dataclass(frozen=True)
class Floors:
    """The gap of a condition, and how far it would move with other seeds, other audit rows, and both."""

    condition: str
    value: float
    over_seeds: Limits
    over_rows: Limits
    over_both: Limits


@dataclass(frozen=True)
class Visible:
    """The smallest effect that is seen in 80 % of studies, by their number of seeds.

    Attributes:
        of: whose spread between seeds it is: `median` or `largest` of the planned contrasts.
        sd: that spread.
        effects: (seeds, effect).
        needed: seeds that see delta; None where no number does.
    """

    response: str
    of: str
    sd: float
    effects: tuple[tuple[int, float], ...]
    needed: int | None


@dataclass(frozen=True)
class FlipCell:
    """Decisions of a (group, label) cell that differ from those of another model: mean shares over seeds.

    Attributes:
        against: `dense` or `control`.
    """

    condition: str
    against: str
    group: str
    label: str
    flipped: float
    broken: float
    corrected: float


@dataclass(frozen=True)
class Levelling:
    """Balanced accuracy of the groups that the untreated dense model serves best and worst: mean change over seeds.

    Attributes:
        best, worst: those groups.
    """

    condition: str
    seeds: int
    best: str
    worst: str
    best_change: float
    worst_change: float


@dataclass(frozen=True)
class FailedCell:
    """A cell that failed, and why."""

    cell: str
    error: str


@dataclass(frozen=True)
class PublishedMean:
    """A number of a paper, and the mean over seeds of the same thing in this study; None where it was not measured.

    Attributes:
        what: accuracy, or the difference of that of two groups; a share.
    """

    extent: str
    what: str
    published: float
    found: Mean | None


@dataclass(frozen=True)
class StudyReport:
    """A study.

    Attributes:
        plan: digest of all that was fixed before the run.
        seeds: planned.
        alpha, delta: level of the tests; the effect that is asked about, a share.
        claim_seeds: fewest seeds of a claim.
        cells, done, failed, not_run, collapsed: planned cells, and of how many that is so.
        factors: factor -> its levels; the first is the one that other factors are looked at.
        control: the extent that extents are compared with; None where the plan has none.
        setting: what was measured, on what, with which versions; name -> value.
        notes: what a reader must know beside it.
        published, published_by: means of a paper, and which one.
    """

    schema: ClassVar[str] = STUDY_SCHEMA
    view: ClassVar[str] = "edgefair.report.study.terminal"

    study: str
    plan: str
    seeds: tuple[int, ...]
    alpha: float
    delta: float
    claim_seeds: int
    cells: int
    done: int
    failed: int
    not_run: int
    collapsed: int
    factors: dict[str, tuple[str, ...]]
    control: str | None
    setting: dict[str, str]
    responses: tuple[StudyResponse, ...]
    levels: tuple[Level, ...]
    findings: tuple[Finding, ...]
    shares: tuple[Shares, ...]
    floors: tuple[Floors, ...]
    visible: tuple[Visible, ...]
    flips: tuple[FlipCell, ...]
    levelling: tuple[Levelling, ...]
    failures: tuple[FailedCell, ...]
    notes: tuple[str, ...]
    published: tuple[PublishedMean, ...] = ()
    published_by: str = ""

    @property
    def complete(self) -> bool:
        """Whether every planned cell was run; one that failed was."""
        return self.not_run == 0

    @property
    def can_claim(self) -> bool:
        """Whether it has the seeds of a claim, all of them run."""
        return self.complete and len(self.seeds) >= self.claim_seeds

    def response(self, name: str) -> StudyResponse:
        """The response of this name."""
        return next(item for item in self.responses if item.name == name)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"schema": STUDY_SCHEMA, "complete": self.complete, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: not such a result.
        """
        return read_fields(cls, data)
