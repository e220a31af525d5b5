"""The `policy:` section of edgefair.yaml: what a release must be shown to be."""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    field_validator,
    model_validator,
)

from edgefair.decision.error_rates import ErrorRates
from edgefair.decision.intersections import declared_groups
from edgefair.decision.spending import LEAST_LEVEL
from edgefair.decision.verdict import comparison_name
from edgefair.errors import did_you_mean
from edgefair.files import sha256_json
from edgefair.joint import Group, group_name, join, split
from edgefair.probe.features import plain_text, value_text

MetricName = Literal[
    "equal_opportunity_difference",
    "false_positive_rate_difference",
    "demographic_parity_difference",
    "predictive_parity_difference",
    "accuracy_difference",
]


def _whole(text: str) -> str:
    """YAML can write halves of letters, which no file and no device can hold."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("a lone surrogate is not text")
    return text


def _group_texts(value: Any) -> Any:
    """Numbers, booleans and dates as the data's text; what else YAML can hold is not a group."""
    if not isinstance(value, list | tuple):
        return value
    known = str | int | float | datetime.date
    return [plain_text(value_text(item) or "") if isinstance(item, known) else item for item in value]


def not_judged_note(names: Iterable[str]) -> str:
    """What to say of sensitive columns that the policy does not judge."""
    listed = ", ".join(f"'{name}'" for name in names)
    return f"NOT JUDGED: sensitive column {listed}; its groups are not declared. Add it to policy.attributes"


Name = Annotated[str, AfterValidator(_whole)]


class AttributePolicy(BaseModel):
    """One sensitive attribute, or one intersection of several."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    groups: tuple[Name, ...] | None = Field(
        None,
        description="Every group that may occur. An intersection may omit it (all combinations then) or list "
        "joined groups, as Female*old; escape a `*` or a backslash inside a value with a backslash there.",
    )
    max_eo_gap: float | None = Field(None, ge=0, le=1, description="Own threshold instead of policy.max_eo_gap.")
    metrics: dict[MetricName, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict, description="Own thresholds instead of those of policy.metrics, or beside them."
    )

    model_input: bool = Field(
        False,
        description="Declares that decisions may depend on the group itself, and so may have a threshold per group.",
    )

    @field_validator("groups", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return _group_texts(value)

    @field_validator("groups")
    @classmethod
    def _two_and_distinct(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and len(set(value)) != len(value):
            raise ValueError("a group is listed twice")
        if value is not None and len(value) < 2:
            raise ValueError("a single group has nothing to be compared with; declare at least two")
        return value


# Ways to say which comparison; part of where pydantic finds a mistake, and of no key.
BY_NAME, BY_KEYS = FORMS = ("by name", "by keys")


class WaivedComparison(BaseModel):
    """A comparison by the keys that the JSON report has for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attribute: Name = Field(description="Attribute or intersection, as under policy.attributes.")
    measure: Name = Field(description="TPR, FPR, or with more classes than two P(decision|label).")
    groups: tuple[Name, Name] = Field(description="Its two groups, in either order.")

    @field_validator("groups", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return _group_texts(value)

    @property
    def names(self) -> tuple[str, str]:
        """What reports may call it: the groups stand there in the policy's order."""
        one, other = self.groups
        return (
            comparison_name(self.attribute, self.measure, one, other),
            comparison_name(self.attribute, self.measure, other, one),
        )


class Waiver(BaseModel):
    """One comparison of the absolute gate that is let through, by someone, for a reason, until a date."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    comparison: Annotated[
        Annotated[Name, Field(min_length=1), Tag(BY_NAME)] | Annotated[WaivedComparison, Tag(BY_KEYS)],
        Discriminator(lambda value: BY_NAME if isinstance(value, str) else BY_KEYS),
    ] = Field(
        description="Its keys in the JSON report ({attribute: sex, measure: TPR, groups: [Female, Male]}), or the name "
        'that reports print: "sex: TPR, Female / Male".'
    )
    reason: Name = Field(min_length=1, description="Why it may ship anyway.")
    owner: Name = Field(min_length=1, description="Who is accountable for it.")
    expires: datetime.date = Field(description="Last day on which it is valid, YYYY-MM-DD.")

    @property
    def name(self) -> str:
        """The comparison as a person reads it."""
        return self.wanted if isinstance(self.wanted, str) else self.wanted[0]

    @property
    def wanted(self) -> str | tuple[str, str]:
        """The name of the comparison, or those that it may have."""
        return self.comparison if isinstance(self.comparison, str) else self.comparison.names


class Policy(BaseModel):
    """Thresholds, declared groups and the error probability of a verdict."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_eo_gap: float = Field(0.05, ge=0, le=1, description="Largest equalized-odds gap that may ship.")
    attributes: dict[Name, AttributePolicy] = Field(
        min_length=1,
        description="Sensitive attributes (sex) and intersections (sex*age) that are judged. Escape a `*` or a "
        "backslash in a column's name with a backslash.",
    )
    alpha: float = Field(0.05, ge=LEAST_LEVEL, lt=0.5, description="Error probability of PASS, and of FAIL.")
    min_cell_rows: int | None = Field(
        None, ge=1, description="Rows below which a (group, label) cell is not judged; default from the threshold."
    )
    subject_weights: Literal["people", "rows"] = Field(
        "people",
        description="With data.subject: `people` counts every person once, however many rows are of one; `rows` counts "
        "every row, and judges no cell in which few people hold most.",
    )
    min_balanced_accuracy: float | None = Field(
        None, ge=0, le=1, description="Floor for the worst group; default: better than chance."
    )
    max_accuracy_drop: float | None = Field(
        None, ge=0, le=1, description="Largest loss of accuracy against the model before compression."
    )
    max_eo_increase: float | None = Field(
        None, ge=0, le=1, description="Largest growth of the gap by compression, on the same rows."
    )
    max_latency_p90_ms: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Largest 90th percentile of latency, batch 1."
    )
    max_size_bytes: int | None = Field(None, ge=1, description="Largest model file.")
    max_load_ms: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Longest time to load the model, from the file to a session."
    )
    max_peak_memory_mb: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Most memory (10^6 bytes) that loading the model and querying it adds to a process.",
    )
    max_group_accuracy_drop: float | None = Field(
        None, ge=0, le=1, description="Largest loss of accuracy that compression may cause any one group."
    )
    max_excess_loss: float | None = Field(
        None, ge=0, le=1, description="Largest loss of a group's accuracy beyond the average loss (psi_g)."
    )
    min_group_accuracy: float | None = Field(None, ge=0, le=1, description="Floor for the accuracy of the worst group.")
    metrics: dict[MetricName, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict, description="Thresholds of other group differences, by the metric's name."
    )
    errors: ErrorRates = Field(
        default_factory=ErrorRates,
        description="How often labels and groups of the audit rows are recorded wrongly, as far as that is known; "
        "what is not declared is taken as true. Limits and thresholds are corrected for it.",
    )
    waivers: tuple[Waiver, ...] = Field((), description="Comparisons that are let through until a date.")
    rule: Literal["bound", "point"] = Field(
        "bound", description="`point` compares estimates as other tools do; recorded as an exception."
    )
    on_inconclusive: Literal["block", "warn"] = Field(
        "block", description="`warn` lets an INCONCLUSIVE release through; recorded as an exception."
    )

    decisions: Literal["attested", "any"] = Field(
        "any",
        description="`attested` refuses decisions that were brought in a file (`verify --decisions`): only what a "
        "target was asked for by edgefair is judged.",
    )
    audit: Literal["open", "sealed"] = Field(
        "open",
        description="`sealed`: until PASS the audit rows answer one bit, not PASS, and verdict k on them may err with "
        "probability alpha / (k (k + 1)): however often a team exports, an unfair model PASSes at most with alpha.",
    )

    _attributes_of: dict[str, tuple[str, ...]] = PrivateAttr(default_factory=dict)
    _groups: dict[str, tuple[Group, ...]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _groups_are_known(self) -> Self:
        single: dict[str, tuple[str, ...]] = {}
        for name, attribute in self.attributes.items():
            self._attributes_of[name] = parts = split(name)
            if len(set(parts)) != len(parts):
                raise ValueError(f"intersection '{name}' names an attribute twice")
            if parts in list(self._attributes_of.values())[:-1]:
                raise ValueError(f"'{name}' is declared twice, in two spellings")
            if len(parts) == 1:
                if attribute.groups is None:
                    raise ValueError(f"attribute '{name}' declares no groups")
                single[parts[0]] = attribute.groups
        for name, parts in self._attributes_of.items():
            missing = [part for part in parts if part not in single]
            if missing:
                raise ValueError(
                    f"intersection '{name}' needs attribute '{missing[0]}' to be declared "
                    f"(a single column of that name is written '{join([name])}')"
                )
            self._groups[name] = declared_groups(name, self.attributes[name].groups, [single[part] for part in parts])
        return self

    @model_validator(mode="after")
    def _sealed_is_strict(self) -> Self:
        if self.audit == "sealed" and self.on_inconclusive == "warn":
            raise ValueError("audit: sealed and on_inconclusive: warn contradict: it tells INCONCLUSIVE from FAIL")
        if self.audit == "sealed" and self.rule == "point":
            raise ValueError("audit: sealed and rule: point contradict: estimates spend no error probability")
        return self

    @model_validator(mode="after")
    def _errors_are_of_groups(self) -> Self:
        if self.errors.audited is not None:
            self.errors.audited.check({name: self.group_names(name) for name in self.attributes})
            if self.errors.spent >= self.alpha:
                raise ValueError(
                    f"errors.audited.alpha is {self.errors.spent:g}, and alpha, of which it is a part, is no more"
                )
            if self.audit == "sealed":
                raise ValueError("audit: sealed and errors.audited contradict: every new check could err anew")
        for name in self.errors.attributes:
            if name not in self.attributes:
                raise ValueError(
                    f"errors.attributes names '{name}', which policy.attributes does not judge"
                    f"{did_you_mean(name, self.attributes)}"
                )
            self.errors.of_groups(name, self.group_names(name))
        return self

    def attributes_of(self, name: str) -> tuple[str, ...]:
        """The sensitive attributes behind an entry of `attributes`: one, or those of an intersection."""
        return self._attributes_of[name]

    def groups(self, name: str) -> tuple[Group, ...]:
        """Declared groups of an attribute; all combinations of its parts for an intersection that lists none."""
        return self._groups[name]

    @property
    def joint_groups(self) -> tuple[Group, ...]:
        """All combinations of the groups of `base_attributes`, in their order."""
        single = {parts[0]: name for name, parts in self._attributes_of.items() if len(parts) == 1}
        values = [[value for (value,) in self._groups[single[part]]] for part in self.base_attributes]
        return tuple(itertools.product(*values))

    def group_names(self, name: str) -> tuple[str, ...]:
        """The declared groups as the policy and reports write them."""
        return tuple(group_name(group) for group in self._groups[name])

    def threshold(self, name: str) -> float:
        """The equalized-odds threshold of an attribute."""
        own = self.attributes[name].max_eo_gap
        return self.max_eo_gap if own is None else own

    def metric_thresholds(self, metric: str) -> dict[str, float]:
        """Attribute -> threshold of a metric of `DIFFERENCES`; attributes without one are left out."""
        found = {name: {**self.metrics, **own.metrics}.get(metric) for name, own in self.attributes.items()}  # type: ignore[call-overload]
        return {name: threshold for name, threshold in found.items() if threshold is not None}

    @property
    def judged_metrics(self) -> tuple[str, ...]:
        """Metrics that have a threshold for some attribute, in the order of the policy."""
        named = [*self.metrics, *(metric for own in self.attributes.values() for metric in own.metrics)]
        return tuple(dict.fromkeys(named))

    def cell_rows(self, threshold: float) -> int:
        """Rows that a cell needs to be judged: ceil(z^2 (1 - tau) / tau), z = z_{1 - alpha}, 52 at tau 0.05."""
        if self.min_cell_rows is not None:
            return self.min_cell_rows
        z = NormalDist().inv_cdf(1 - self.alpha)
        return max(1, math.ceil(z * z * (1 - threshold) / max(threshold, 1e-6)))

    @property
    def waived(self) -> frozenset[str | tuple[str, str]]:
        """The comparisons that do not count, as waivers name them."""
        return frozenset(item.wanted for item in self.waivers)

    @property
    def limits_alpha(self) -> float:
        """What is left of alpha for limits of decisions, where limits of error rates spend a part of it."""
        return self.alpha - self.errors.spent

    @property
    def base_attributes(self) -> tuple[str, ...]:
        """The attributes to count by, in the order of the policy; intersections are taken apart."""
        return tuple(dict.fromkeys(part for name in self.attributes for part in self._attributes_of[name]))

    def not_judged(self, sensitive: Iterable[str]) -> tuple[str, ...]:
        """Sensitive columns of the data that no attribute or intersection is about."""
        return tuple(name for name in sensitive if name not in self.base_attributes)

    @property
    def digest(self) -> str:
        """SHA-256 of the policy, defaults written out."""
        return sha256_json(self.model_dump(mode="json"))

    @property
    def model_inputs(self) -> tuple[str, ...]:
        """Attributes that decisions may depend on; an intersection is not an attribute."""
        parts = [self._attributes_of[name] for name, own in self.attributes.items() if own.model_input]
        return tuple(names[0] for names in parts if len(names) == 1)
