"""What a verdict on rows of subjects takes its limits of, as a report keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from edgefair.measure.bounds import Array, clopper_pearson, mover
from edgefair.measure.clusters import Votes

# level -> (estimate, lower, upper)
Limited = tuple[Array, Array, Array]
# level -> (lower, upper)
Own = Callable[[float], tuple[Array, Array]]


@dataclass(frozen=True, eq=False)
class Effective:
    """Effective sample size of a table of rates.

    Attributes:
        share: n_eff / n, float64, 0 < share <= 1.
        subjects: int64, same shape: independent units behind the rows; those of equal weight, where rows count.
        rate: the rates, where they are not counts by rows; None in reports of before.
        pairs: times how much wider differences between groups are for subjects in both, [groups, groups, ...]; None
            where there are none.
        own: level -> (lower, upper), where the rates are weighted over strata (`measure.labels.strata`): limits that no
            effective size gives, which then only tells how many rows would do. A report keeps the strata instead.
    """

    share: Array
    subjects: NDArray[np.int64]
    rate: Array | None = None
    pairs: Array | None = None
    own: Own | None = None

    @classmethod
    def of(cls, votes: Votes, shape: tuple[int, ...], *, pairs: Array | None = None) -> Self:
        """n_eff = r (1 - r) / Var(r); where there is no variance to be seen every unit counts as one row."""
        simple = votes.rate * (1 - votes.rate)
        size = np.where(np.isnan(votes.variance), votes.units, simple / votes.variance)
        share = np.where(votes.rows > 0, size / np.maximum(votes.rows, 1), 1.0)
        units = np.floor(votes.units + 1e-9).astype(np.int64)
        return cls(np.minimum(share, 1.0).reshape(shape), units.reshape(shape), votes.rate.reshape(shape), pairs)

    def scale(self, level: float) -> Array:
        """Factor on counts before one-sided limits at `level` are taken.

        n_eff* = n_eff (z_{1-level} / t_{m-1, 1-level})^2: the variance is estimated from m subjects (Korn & Graubard,
        Survey Methodology 1998, eq. 2.3).
        """
        t = stdtrit(np.maximum(self.subjects - 1, 1), 1 - level)
        factor: Array = self.share * (ndtri(1 - level) / t) ** 2
        return factor

    def limits(self, x: NDArray[np.int64], n: NDArray[np.int64], level: float) -> Limited:
        """The rate with Clopper-Pearson limits of effective numbers; x / n where the rates are those of rows."""
        rate = x / np.maximum(n, 1) if self.rate is None else self.rate
        if self.own is not None:
            return rate, *self.own(level)
        size = n * self.scale(level)
        return rate, *clopper_pearson(rate * size, size, level)

    def at(self, *index: Any) -> Effective:
        """The effective sizes at some positions."""
        return self._each(lambda array: array[index])

    def reshaped(self, *shape: int) -> Effective:
        """The same in another shape, without those of pairs."""
        return self._each(lambda array: array.reshape(shape))

    def _each(self, change: Callable[[Any], Any]) -> Effective:
        rate = None if self.rate is None else change(self.rate)
        return Effective(change(self.share), change(self.subjects), rate, own=_changed(self.own, change))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        found = {"share": self.share.tolist(), "subjects": self.subjects.tolist()}
        more = {"rate": self.rate, "pairs": self.pairs}
        return found | {key: value.tolist() for key, value in more.items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: not such an object, or a share that cannot be.
        """
        share = np.asarray(data["share"], dtype=np.float64)
        subjects = np.asarray(data["subjects"], dtype=np.int64)
        rate = np.asarray(data["rate"], dtype=np.float64) if "rate" in data else None
        if share.shape != subjects.shape or not bool(np.all((share > 0) & (share <= 1) & (subjects >= 0))):
            raise ValueError("shares of effective rows that are not between 0 and 1")
        if rate is not None and (rate.shape != share.shape or not bool(np.all((rate >= 0) & (rate <= 1)))):
            raise ValueError("rates of subjects that are not between 0 and 1")
        return cls(share, subjects, rate, _factors(data["pairs"]) if "pairs" in data else None)


@dataclass(frozen=True, eq=False)
class Change:
    """A change by compression: the rate of rows that flip one way minus that of rows that flip the other.

    Attributes:
        plus, minus: the two rates.
        widening: times how much wider their difference is than that of independent rates, same shape; 1 in reports of
            before.
        pairs: as in `Effective`, of the change.
    """

    plus: Effective
    minus: Effective
    widening: Array
    pairs: Array | None = None

    def limits(self, plus: NDArray[np.int64], minus: NDArray[np.int64], n: NDArray[np.int64], level: float) -> Limited:
        """The change with limits."""
        return widened(mover(*self.plus.limits(plus, n, level), *self.minus.limits(minus, n, level)), self.widening)

    def at(self, *index: Any) -> Change:
        """The change at some positions, without those of pairs."""
        return Change(self.plus.at(*index), self.minus.at(*index), self.widening[index])

    @classmethod
    def concatenated(cls, parts: Sequence[Change]) -> Self:
        """The changes of several attributes, one after the other, without those of pairs."""
        return cls(
            concatenated([item.plus for item in parts]),
            concatenated([item.minus for item in parts]),
            np.concatenate([item.widening for item in parts]),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        found = {"plus": self.plus.to_json(), "minus": self.minus.to_json(), "widening": self.widening.tolist()}
        return found if self.pairs is None else found | {"pairs": self.pairs.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: not such an object.
        """
        plus, minus = Effective.from_json(data["plus"]), Effective.from_json(data["minus"])
        widening = _factors(data["widening"])
        if not plus.share.shape == minus.share.shape == widening.shape:
            raise ValueError("a change whose parts have not one shape")
        return cls(plus, minus, widening, _factors(data["pairs"]) if "pairs" in data else None)


@dataclass(frozen=True, eq=False)
class Excess:
    """What a group loses beyond the others: all [groups].

    Attributes:
        rest: the loss of all others.
        widening: of a group's loss minus that of the rest.
        weight: share of the units that are not of the group.
    """

    rest: Change
    widening: Array
    weight: Array

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"rest": self.rest.to_json(), "widening": self.widening.tolist(), "weight": self.weight.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: not such an object.
        """
        weight = np.asarray(data["weight"], dtype=np.float64)
        if not bool(np.all((weight >= 0) & (weight <= 1))):
            raise ValueError("weights of the rest that are not between 0 and 1")
        return cls(Change.from_json(data["rest"]), _factors(data["widening"]), weight)


@dataclass(frozen=True, eq=False)
class Design:
    """Effective sample sizes of everything that a verdict takes limits of; what it asks nothing of is not there.

    Attributes:
        rates: attribute -> of r[g, y, c], [groups, labels, classes], groups in the policy's order.
        changes: attribute -> of the flip rates towards class c minus those away from it, same shape.
        drop: of the rates of rows that compression breaks minus those it corrects, [1]; None without a reference.
        counted: whether people or rows are; None in reports of before, which counted rows.
        balanced: attribute -> times how much wider a group's mean recall is for subjects with several labels, [groups].
        metrics: attribute -> metric -> of the rates that it compares, [groups, 1, 1].
        accuracy: attribute -> of the accuracy of groups, [groups].
        losses: attribute -> of the rows of groups that compression breaks minus those it corrects, [groups].
        excess: attribute -> of what groups lose beyond the others.
    """

    rates: Mapping[str, Effective]
    changes: Mapping[str, Change] = field(default_factory=dict)
    drop: Change | None = None
    counted: str | None = None
    balanced: Mapping[str, Array] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Effective]] = field(default_factory=dict)
    accuracy: Mapping[str, Effective] = field(default_factory=dict)
    losses: Mapping[str, Change] = field(default_factory=dict)
    excess: Mapping[str, Excess] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        parts: dict[str, Mapping[str, Any]] = {
            "rates": self.rates,
            "changes": self.changes,
            "accuracy": self.accuracy,
            "losses": self.losses,
            "excess": self.excess,
        }
        return {
            "counted": self.counted,
            **{key: {name: item.to_json() for name, item in part.items()} for key, part in parts.items()},
            "drop": None if self.drop is None else self.drop.to_json(),
            "balanced": {name: item.tolist() for name, item in self.balanced.items()},
            "metrics": {
                name: {metric: item.to_json() for metric, item in part.items()} for name, part in self.metrics.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what `to_json` wrote, or what was written before people could be counted.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: not such an object.
        """
        rates = {str(name): Effective.from_json(item) for name, item in data["rates"].items()}
        if "counted" not in data:
            return cls(rates, *_before(data))
        return cls(
            rates=rates,
            changes={str(name): Change.from_json(item) for name, item in data["changes"].items()},
            drop=None if data["drop"] is None else Change.from_json(data["drop"]),
            counted=str(data["counted"]),
            balanced={str(name): _factors(item) for name, item in data["balanced"].items()},
            metrics={
                str(name): {str(metric): Effective.from_json(item) for metric, item in part.items()}
                for name, part in data["metrics"].items()
            },
            accuracy={str(name): Effective.from_json(item) for name, item in data["accuracy"].items()},
            losses={str(name): Change.from_json(item) for name, item in data["losses"].items()},
            excess={str(name): Excess.from_json(item) for name, item in data["excess"].items()},
        )


def concatenated(parts: Sequence[Effective]) -> Effective:
    """The effective sizes of several attributes, one after the other, without those of pairs."""
    rates = [item.rate for item in parts if item.rate is not None]
    return Effective(
        np.concatenate([item.share for item in parts]),
        np.concatenate([item.subjects for item in parts]),
        np.concatenate(rates) if len(rates) == len(parts) else None,
        own=_joined([item.own for item in parts if item.own is not None]),
    )


def _changed(own: Own | None, change: Callable[[Any], Any]) -> Own | None:
    if own is None:
        return None

    def limits(level: float) -> tuple[Array, Array]:
        lower, upper = own(level)
        return change(lower), change(upper)

    return limits


def _joined(parts: Sequence[Own]) -> Own | None:
    if not parts:
        return None

    def limits(level: float) -> tuple[Array, Array]:
        lower, upper = zip(*(part(level) for part in parts), strict=True)
        return np.concatenate(lower), np.concatenate(upper)

    return limits


def widened(limits: Limited, factor: Array) -> Limited:
    """Limits as many times further from their estimate."""
    value, lower, upper = limits
    return value, value - factor * (value - lower), value + factor * (upper - value)


def _factors(data: Any) -> Array:
    found = np.asarray(data, dtype=np.float64)
    if not bool(np.all(found >= 1)):
        raise ValueError("limits that subjects make narrower")
    return found


def _before(data: Mapping[str, Any]) -> tuple[dict[str, Change], Change | None]:
    """Changes and drop of a report of before: rows counted, both ways of flipping as if independent."""

    def change(plus: Any, minus: Any) -> Change:
        one, other = Effective.from_json(plus), Effective.from_json(minus)
        return Change(one, other, np.ones(one.share.shape))

    changes = {str(name): change(item, data["lost"][name]) for name, item in data["gained"].items()}
    return changes, None if data["mended"] is None else change(data["spoiled"], data["mended"])
