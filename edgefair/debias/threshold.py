"""A decision threshold that is chosen on the compressed model's own scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgefair.debias.post import Answers, Judge, PostMethod
from edgefair.errors import DataError, PolicyError, UsageError, did_you_mean
from edgefair.graphs.editor import Editor, decision_by_threshold, decision_by_weights

if TYPE_CHECKING:
    import onnx

    from edgefair.probe.onnx_files.spec import ModelSpec

# From decisions int64 [rows]; larger is better.
Rank = Callable[[NDArray[np.int64]], tuple[int, float]]

# Thresholds that are tried: at most this many values between the scores of the validation rows.
CANDIDATES = 256
# Factors on a class's probability that are tried, and how often all classes are gone through.
FACTORS = tuple(2.0**power for power in np.linspace(-3, 3, 25))
ROUNDS = 2
# Share of the worst group's balanced accuracy beyond chance that is kept where the policy has no floor.
KEPT = 0.5
# Per-group thresholds: how often the groups are gone through, and the rows of a group below which it has none.
GROUP_ROUNDS, GROUP_ROWS = 3, 50


class Threshold(PostMethod):
    """Move the decision, not the model: most balanced accuracy subject to the policy's gap and floor.

    Where the policy has no floor, the worst group keeps half of the balanced accuracy beyond chance that it can have: a
    threshold that finds nearly nobody has a narrow gap too, and an estimate of few rows that is better than chance.

    Two classes: one threshold on P(class 1) for everybody. More classes: one factor per class on its probability, by
    coordinate search. Both are blind to the group, are baked into the graph, and need nothing on the device.

    `by` names an attribute that the policy declares a model input (`model_input: true`): then every group has its own
    threshold (Hardt, Price & Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016, without their
    randomization: a device's decision must be repeatable): thresholds at which the groups' rates are most alike, the
    best of them improved by coordinate search. The graph reads the group from the model's own input; a value with fewer
    than 50 validation rows keeps the common threshold.
    """

    def __init__(self, *, by: str | None = None) -> None:
        self.by = by

    def apply(
        self, model: onnx.ModelProto, spec: ModelSpec, answers: Answers, judge: Judge
    ) -> tuple[onnx.ModelProto, ModelSpec, dict[str, object]]:
        """See `PostMethod`. The choice is `threshold`, `factors`, or `thresholds` by group."""
        editor = Editor(model, spec)
        score = editor.score()
        (values,) = answers(editor.exposed([score]), [score])
        if len(spec.classes) != 2:
            if self.by is not None:
                raise UsageError("threshold: `by` is for two classes", fix="omit `by`")
            factors = _best_factors(values, _ranking(judge, [values.argmax(axis=1)]))
            decision = decision_by_weights(editor, score, factors)
            return *editor.finished(decision, score, None), {"factors": [float(item) for item in factors]}
        score_1 = values[:, 1]
        rank = _ranking(judge, ((score_1 >= at).astype(np.int64) for at in _candidates(score_1)))
        common = _best_threshold(score_1, rank)
        if self.by is None:
            return *editor.finished(decision_by_threshold(editor, score, common), score, common), {"threshold": common}
        position, column, vocabulary = _input_of(self.by, spec, judge)
        of_value = _best_by_group(score_1, common, self.by, vocabulary, judge, rank)
        table = np.array([common, *(of_value.get(value, common) for value in vocabulary)], dtype=np.float32)
        code = editor.add(
            "Gather", [spec.inputs[position].name, editor.constant(np.array(column, dtype=np.int64))], axis=1
        )
        row = editor.add("Add", [code, editor.constant(np.array(1, dtype=np.int32))])
        own = editor.add("Gather", [editor.constant(table), row], axis=0)
        decision = decision_by_threshold(editor, score, own)
        return *editor.finished(decision, score, None), {"threshold": common, "thresholds": of_value}


def _ranking(judge: Judge, tried: Iterable[NDArray[np.int64]]) -> Rank:
    """How good decisions are; if their worst group loses too much beside the best of these, by that group alone."""
    least = 0.0
    if judge.chance is not None:
        least = judge.chance + KEPT * (max(judge.worth(item).worst_group for item in tried) - judge.chance)

    def rank(decision: NDArray[np.int64]) -> tuple[int, float]:
        worth = judge.worth(decision)
        return worth.rank if worth.worst_group >= least else (0, worth.worst_group)

    return rank


def _best_threshold(score: NDArray[np.float32], rank: Rank) -> float:
    return max(_candidates(score), key=lambda at: (rank((score >= at).astype(np.int64)), -abs(at - 0.5)))


def _candidates(score: NDArray[np.float32]) -> list[float]:
    """Half-way between neighbouring scores, at quantiles where there are many; and 0.5."""
    distinct = np.unique(score)
    between = (distinct[1:].astype(np.float64) + distinct[:-1]) / 2
    if len(between) > CANDIDATES:
        between = np.quantile(between, np.linspace(0, 1, CANDIDATES))
    return [0.5, *(float(np.float32(at)) for at in between)]


def _best_factors(score: NDArray[np.float32], rank: Rank) -> NDArray[np.float32]:
    factors = np.ones(score.shape[1], dtype=np.float32)
    best = rank((score * factors).argmax(axis=1))
    for _ in range(ROUNDS):
        for k in range(len(factors)):
            for factor in FACTORS:
                tried = factors.copy()
                tried[k] = factor
                reached = rank((score * tried).argmax(axis=1))
                if reached > best:
                    best, factors = reached, tried
    return factors


def _best_by_group(
    score: NDArray[np.float32], common: float, attribute: str, vocabulary: tuple[str, ...], judge: Judge, rank: Rank
) -> dict[str, float]:
    values = judge.attributes[attribute]
    present = [value for value in vocabulary if int((values == value).sum()) >= GROUP_ROWS]
    if len(present) < 2:
        raise DataError(
            f"threshold: only {len(present)} groups of '{attribute}' have {GROUP_ROWS} validation rows",
            expected="at least two: a threshold fitted to a handful of rows follows their noise",
            fix="omit `by`, or hold out more validation rows (data.validation)",
        )
    found = dict.fromkeys(present, common)

    def decided(thresholds: dict[str, float]) -> NDArray[np.int64]:
        at = np.full(len(score), common)
        for value, own in thresholds.items():
            at[values == value] = own
        return (score >= at).astype(np.int64)

    best = rank(decided(found))
    tried = {value: _candidates(score[values == value]) for value in present}
    for alike in _alike(score, values, judge.label, tried):
        reached = rank(decided(alike))
        if reached > best:
            best, found = reached, alike
    for _ in range(GROUP_ROUNDS):
        for value in present:
            for at in tried[value]:
                reached = rank(decided({**found, value: at}))
                if reached > best:
                    best, found = reached, {**found, value: at}
    return found


def _alike(
    score: NDArray[np.float32], values: NDArray[np.object_], label: NDArray[np.int64], tried: dict[str, list[float]]
) -> Iterator[dict[str, float]]:
    """For every group and every threshold of it: those of the other groups whose rates on both labels are nearest."""
    rates = {
        value: np.stack([_rates_at(score[(values == value) & (label == y)], at) for y in (0, 1)])
        for value, at in tried.items()
    }
    for own, of_own in rates.items():
        nearest = {
            value: np.abs(of_own[:, :, None] - other[:, None, :]).max(axis=0).argmin(axis=1)
            for value, other in rates.items()
        }
        for position, at in enumerate(tried[own]):
            others = {value: tried[value][index[position]] for value, index in nearest.items()}
            yield {**others, own: at}


def _rates_at(score: NDArray[np.float32], thresholds: list[float]) -> NDArray[np.float64]:
    """Share of the scores at or above each threshold; 0.5 everywhere where there is no score to tell."""
    if len(score) == 0:
        return np.full(len(thresholds), 0.5)
    return 1.0 - np.searchsorted(np.sort(score).astype(np.float64), np.array(thresholds)) / len(score)


def _input_of(attribute: str, spec: ModelSpec, judge: Judge) -> tuple[int, int, tuple[str, ...]]:
    """Which graph input and which column of it holds an attribute, and its vocabulary."""
    if attribute not in judge.model_inputs:
        raise PolicyError(
            f"threshold: policy.attributes does not declare '{attribute}' a model input"
            f"{did_you_mean(attribute, judge.attributes)}",
            expected="model_input: true, declared by someone entitled to let a decision depend on the group",
            fix="omit `by`: one threshold for everybody needs no group",
        )
    for position, item in enumerate(spec.inputs):
        for column, known in enumerate(item.columns):
            if known.name == attribute and known.vocabulary is not None and item.dtype == "int32":
                return position, column, known.vocabulary
    raise DataError(
        f"threshold: the model does not read '{attribute}', so its graph does not know the group",
        fix="train it with data.allow_sensitive_features: true and the attribute among data.features",
    )
