"""Fairness-controlled compression: the least concession after which every gate is kept.

Pure: what a choice is worth comes from a `Bench`, and equal answers give the same search.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

Kind = Literal["static", "dynamic", "fp16"]
Move = Literal["seven-bit", "bias", "calibration", "float", "prune", "last-layer", "threshold"]
# The share of the harm that is expected to be too much, the share of the worst node's harm that is clear harm, and how
# many nodes of clear harm in a row show that the ranking is right.
MOST, CLEAR, ENOUGH = 0.7, 0.1, 2
# What a lower pruning ratio is tried at, as shares of the ratio that was asked for.
RATIOS = (0.75, 0.5, 0.25)


@dataclass(frozen=True)
class Choice:
    """One way to compress a model; equal choices give equal files.

    Attributes:
        prune: share of the MACs that pruning removes; None for no pruning.
        calibration: name of the calibration recipe.
        seven_bit: nodes whose weights have 7 bits, so that no processor saturates.
        unsigned: nodes whose weights are unsigned, with the same end and all 8 bits.
        correct_bias: whether the last layer's bias is corrected, groups weighing alike.
        float_nodes: nodes that stay in float.
        post: treatments of the file beyond those of the recipe.
    """

    prune: float | None
    calibration: str
    seven_bit: tuple[str, ...] = ()
    unsigned: tuple[str, ...] = ()
    correct_bias: bool = False
    float_nodes: tuple[str, ...] = ()
    post: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Trial:
    """What a choice showed on the validation rows of every target.

    Attributes:
        kept: whether every gate is kept.
        harmless: whether every gate of decisions is: all but latency and size.
        shortfall: how far the others are from being kept, relative to their thresholds; 0 where all are.
        cost: what decides among those that keep every gate; smaller is better.
        gates: target -> gate -> outcome, for the log.
    """

    choice: Choice
    kept: bool
    harmless: bool
    shortfall: float
    cost: float
    gates: dict[str, dict[str, str]]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Ranked:
    """A node in low precision, and how much harm that seems to do: 0 or more, in any unit."""

    node: str
    harm: float


class Bench(Protocol):
    """Makes and judges compressed models."""

    def judge(self, choice: Choice) -> Trial:
        """Make the model of a choice and judge it on the validation rows of every target."""
        ...

    def nodes(self, choice: Choice) -> Sequence[Ranked]:
        """Nodes that are INT8 unless they are named in `float_nodes`, the one that does most harm first."""
        ...

    def is_dense(self, choice: Choice) -> bool:
        """Whether the model of a choice with every node in float is the model before compression."""
        ...

    def saturating(self, choice: Choice) -> Sequence[str]:
        """Nodes whose sums go beyond 16 bits on a processor of some target, and have 8-bit weights."""
        ...


@dataclass(frozen=True)
class Moves:
    """What a repair may do.

    Attributes:
        allowed: kinds of moves.
        calibrations: recipes to try instead of the one that was asked for.
        trials: most trials.
    """

    allowed: frozenset[Move]
    calibrations: tuple[str, ...]
    trials: int


@dataclass(frozen=True)
class Repair:
    """How a search ended.

    Attributes:
        chosen: the cheapest trial that keeps every gate; else the one that falls short least.
        trials: all of them, in order.
        ended: why it ended, in words.
    """

    chosen: Trial
    trials: tuple[Trial, ...]
    ended: str


class _SpentError(Exception):
    """The budget of trials is used up."""


class _Search:
    def __init__(self, bench: Bench, moves: Moves) -> None:
        self.bench = bench
        self.moves = moves
        self.trials: dict[Choice, Trial] = {}

    def judge(self, choice: Choice) -> Trial:
        if choice not in self.trials:
            if len(self.trials) >= self.moves.trials:
                raise _SpentError
            self.trials[choice] = self.bench.judge(choice)
        return self.trials[choice]

    def allows(self, move: Move) -> bool:
        return move in self.moves.allowed

    def run(self, start: Choice, *, kind: Kind | None, dense_keeps: bool) -> str:
        """Try until something is kept and nothing cheaper is left; why it ended."""
        if self.judge(start).kept:
            return "the recipe keeps every gate"
        if not dense_keeps:
            return self._treated(start) or (
                "the model before compression does not keep every gate either, so undoing compression cannot help: "
                "debias it (edgefair train --debias), or allow last-layer or threshold in compress.repair.moves"
            )
        if kind is not None and (found := self._precision(start, kind)) is not None:
            return found
        return self._less_pruned(start, kind) or self._treated(start) or "no allowed move keeps every gate"

    def _less_pruned(self, start: Choice, kind: Kind | None) -> str | None:
        """The first lower ratio that keeps every gate, or one half-way back to the ratio that does not."""
        if start.prune is None or not self.allows("prune"):
            return None
        ratios = [round(start.prune * share, 4) for share in (1.0, *RATIOS)]
        for failed, ratio in itertools.pairwise(ratios):
            if (found := self._pruned(start, ratio, kind)) is not None:
                return self._pruned(start, round((ratio + failed) / 2, 4), kind) or found
        return None

    def _pruned(self, start: Choice, ratio: float, kind: Kind | None) -> str | None:
        choice = replace(start, prune=ratio)
        if self.judge(choice).kept:
            return f"pruning {ratio:g} instead of {start.prune:g} keeps every gate"
        return None if kind is None else self._precision(choice, kind)

    def _precision(self, start: Choice, kind: Kind) -> str | None:
        """Low precision as far as it keeps every gate, by what costs no time first; None where it is not to blame."""
        ranked = self.bench.nodes(start)
        nodes = tuple(item.node for item in ranked)
        if not (self.bench.is_dense(start) or self.judge(replace(start, float_nodes=nodes)).harmless):
            return None
        best = start
        for changed in self._free(start) if kind == "static" else ():
            trial = self.judge(changed(best))
            if trial.kept:
                return "a move that costs no time keeps every gate"
            if trial.shortfall < self.judge(best).shortfall:
                best = changed(best)
        if self.allows("float") and self._islands(best, ranked).kept:
            return "the fewest nodes that were found went back to float"
        return None

    def _free(self, start: Choice) -> Iterator[Any]:
        """Changes of a choice that leave its speed as it is."""
        if self.allows("seven-bit") and (nodes := tuple(self.bench.saturating(start))):
            yield lambda choice: replace(choice, seven_bit=nodes)
            yield lambda choice: replace(choice, seven_bit=(), unsigned=nodes)
        if self.allows("bias"):
            yield lambda choice: replace(choice, correct_bias=True)
        if self.allows("calibration"):
            for name in self.moves.calibrations:
                yield lambda choice, name=name: replace(choice, calibration=name)

    def _islands(self, choice: Choice, ranked: Sequence[Ranked]) -> Trial:
        """Fewest nodes in float: the shortest kept prefix of the ranking, then without what it can spare.

        More float is taken to be no worse. Where that is wrong it still ends at nodes that were judged.
        """
        nodes = tuple(item.node for item in ranked)

        def keeps(count: int) -> bool:
            return self.judge(replace(choice, float_nodes=nodes[:count])).harmless

        guess = likely(ranked)
        count = _least(keeps, guess, len(nodes))
        if count is None:
            return self.judge(replace(choice, float_nodes=nodes))
        foretold = abs(count - guess) <= 1
        return self.judge(replace(choice, float_nodes=self._thinned(choice, ranked[:count], foretold)))

    def _thinned(self, choice: Choice, ranked: Sequence[Ranked], foretold: bool) -> tuple[str, ...]:
        """Without what can be spared: from the least harmful node on, in strides that double; the last one is needed.

        A run of n nodes that can be spared costs log n trials, each that cannot costs one. Nodes of clear harm are not
        tried where the ranking foretold how many are needed, nor after some of them in a row could not be spared.
        """
        chosen = tuple(item.node for item in ranked)
        clear = sum(item.harm > CLEAR * ranked[0].harm for item in ranked)
        first = clear if foretold else 0
        end, stride, needed = len(ranked) - 1, 1, 0
        while end > first and needed < ENOUGH:
            stride = min(stride, end - first)
            tried = [item.node for item in ranked[end - stride : end]]
            fewer = tuple(node for node in chosen if node not in tried)
            if self.judge(replace(choice, float_nodes=fewer)).harmless:
                chosen, end, stride, needed = fewer, end - stride, 2 * stride, 0
            elif stride > 1:
                stride //= 2
            else:
                end -= 1
                needed += end < clear
        return chosen

    def _treated(self, start: Choice) -> str | None:
        """Treatments of the compressed file, alone and together."""
        allowed = tuple(name for name in ("last-layer", "threshold") if self.allows(name))
        for post in dict.fromkeys([allowed[:1], allowed[1:], allowed]):
            if post and self.judge(replace(start, post=post)).kept:
                return f"{' and '.join(post)} on the compressed model keeps every gate"
        return None


def likely(ranked: Sequence[Ranked]) -> int:
    """How many of the first nodes do most of the harm: at least one."""
    total, found = sum(item.harm for item in ranked), 0.0
    for count, item in enumerate(ranked, start=1):
        found += item.harm
        if found >= MOST * total:
            return count
    return 1


def _least(keeps: Callable[[int], bool], guess: int, most: int) -> int | None:
    """The least count from 1 to `most` that keeps, by strides that double away from a guess, then bisection.

    A guess that is right costs two calls. None where not even `most` keeps.
    """
    stride = 1
    if keeps(guess):
        high = guess
        while high > 1 and keeps(max(high - stride, 1)):
            high, stride = max(high - stride, 1), 2 * stride
        low = max(high - stride, 0)
    else:
        low = guess
        while not keeps(min(low + stride, most)):
            low, stride = min(low + stride, most), 2 * stride
            if low == most:
                return None
        high = min(low + stride, most)
    while high - low > 1:
        middle = (low + high) // 2
        if keeps(middle):
            high = middle
        else:
            low = middle
    return high


def repair(start: Choice, moves: Moves, bench: Bench, *, kind: Kind | None, dense_keeps: bool) -> Repair:
    """Search for the cheapest compression that keeps every gate.

    Order: the recipe as it is; moves that cost no time (7-bit or unsigned weights where sums saturate, bias, other
    calibrations), each kept where it helps; the fewest nodes back to float; the same at lower pruning ratios, of which
    the last step is halved once; treatments of the file. Before anything else is tried on INT8, the model with every
    node in float shows whether INT8 is to blame; where that is the model before compression, it is. Dynamic INT8 and
    FP16 have no calibration: there the nodes go back to float at once.

    Args:
        start: the recipe.
        kind: how it quantizes; None where it does not.
        dense_keeps: whether the model before compression keeps every gate.
    """
    search = _Search(bench, moves)
    try:
        ended = search.run(start, kind=kind, dense_keeps=dense_keeps)
    except _SpentError:
        ended = f"the budget of {moves.trials} trials is used up"
    trials = tuple(search.trials.values())
    kept = [trial for trial in trials if trial.kept]
    if kept:
        return Repair(min(kept, key=lambda trial: trial.cost), trials, ended)
    return Repair(min(trials, key=lambda trial: trial.shortfall), trials, ended)
