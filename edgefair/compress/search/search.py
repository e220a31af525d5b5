"""Fairness-controlled compression: the least concession after which every gate is kept.

Pure: what a choice is worth comes from a `Bench`, and equal answers give the same search.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

from edgefair.compress.search.choice import Choice
from edgefair.compress.search.float_nodes import Cost, Harmless, Nodes, Ranked, cheaper, fewest, fitting, harm_of, names

Move = Literal["seven-bit", "bias", "calibration", "operating-point", "float", "prune", "last-layer", "threshold"]
# Those that leave the speed as it is, where the low precision knows them.
FREE: frozenset[Move] = frozenset({"seven-bit", "bias", "calibration"})
# Share of decisions that low precision may change before a more careful recipe is tried.
FEW = 0.01
# What a lower pruning ratio is tried at, as shares of the ratio that was asked for.
RATIOS = (0.75, 0.5, 0.25)


@dataclass(frozen=True)
class Trial:
    """What a choice showed on the validation rows of every target.

    Attributes:
        kept: whether every gate is kept.
        harmless: whether every gate of decisions is: all but latency and size.
        shortfall: how far the others are from being kept, relative to their thresholds; 0 where all are.
        cost: what decides among those that keep every gate; smaller is better.
        gates: target -> id of a gate -> outcome, for the log.
        changed: share of the rows that are decided otherwise than before compression, on the target where it is
            largest; None in logs of before.
        gap, p90_ms, size_bytes: upper limit of the equalized-odds gap and p90 of the latency, on the target where each
            is largest, and size of the file: for a reader; None where they were not measured, and in logs of before.
    """

    choice: Choice
    kept: bool
    harmless: bool
    shortfall: float
    cost: float
    gates: dict[str, dict[str, str]]
    gap: float | None = None
    p90_ms: float | None = None
    size_bytes: int | None = None
    changed: float | None = None

    @property
    def excess(self) -> float:
        """`changed`, where that is more than FEW."""
        return 0.0 if self.changed is None or self.changed <= FEW else self.changed

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


class Bench(Protocol):
    """Makes and judges compressed models."""

    def judge(self, choice: Choice) -> Trial:
        """Make the model of a choice and judge it on the validation rows of every target."""
        ...

    def cost(self, choice: Choice) -> float:
        """The `cost` of the trial that `judge` would give, without a trial. A node in float never makes it less."""
        ...

    def nodes(self, choice: Choice) -> Sequence[Ranked]:
        """Nodes that are INT8 unless they are named in `float_nodes`, the one that does most harm first."""
        ...

    def is_reference(self, choice: Choice) -> bool:
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
        ladder: recipes that are tried in turn, each more careful and slower to make than the one before, while gates
            are not kept or more than FEW decisions are changed.
    """

    allowed: frozenset[Move]
    calibrations: tuple[str, ...]
    trials: int
    ladder: tuple[str, ...] = ()


CLIMBED = "a more careful recipe passes every gate and changes fewer decisions"


@dataclass(frozen=True)
class Repair:
    """How a search ended.

    Attributes:
        chosen: the cheapest allowed trial that keeps every gate; else the one that comes closest.
        trials: all of them, in order.
        ended: why it ended, in words.
    """

    chosen: Trial
    trials: tuple[Trial, ...]
    ended: str


def _worth(trial: Trial) -> tuple[bool, float, float]:
    """The smaller, the better: kept first, then cheap, then like the model before."""
    return not trial.kept, trial.cost if trial.kept else trial.shortfall, trial.excess


class _SpentError(Exception):
    """The budget of trials is used up."""


class _Search:
    def __init__(self, bench: Bench, moves: Moves, *, lowered: bool) -> None:
        self.bench = bench
        self.moves = moves
        self.lowered = lowered
        self.trials: dict[Choice, Trial] = {}

    def judge(self, choice: Choice) -> Trial:
        if choice not in self.trials:
            if len(self.trials) >= self.moves.trials:
                raise _SpentError
            self.trials[choice] = self.bench.judge(choice)
        return self.trials[choice]

    def allows(self, move: Move) -> bool:
        return move in self.moves.allowed

    @property
    def usable(self) -> list[Trial]:
        """Trials that may be chosen: where nodes in float are not allowed, those only tell what is to blame."""
        return [trial for trial in self.trials.values() if self.allows("float") or not trial.choice.float_nodes]

    @property
    def best(self) -> Trial | None:
        """The cheapest harmless one. Where it is not kept for its latency or size, neither is what costs more."""
        return min((trial for trial in self.usable if trial.harmless), key=lambda trial: trial.cost, default=None)

    @property
    def bound(self) -> float:
        """What a choice must cost less than to be worth a trial."""
        return math.inf if self.best is None else self.best.cost

    def run(self, start: Choice, *, reference_passes: bool) -> str:
        """Try until something is kept and nothing cheaper is left; why it ended."""
        recipe, start = start, self._climb(start) if reference_passes else start
        if self.judge(start).kept:
            return CLIMBED if start != recipe else "the recipe passes every gate"
        if not reference_passes:
            return self._treated(start) or (
                "the reference does not pass every gate either, so undoing compression cannot help: "
                "train it with different or stronger debiasing (edgefair train --debias, or --auto where there are "
                "two classes), or allow last-layer or threshold in compress.repair.moves"
            )
        if self.lowered and (found := self._precision(start)) is not None:
            return found
        if self.allows("operating-point") and self.judge(_refitted(start)).kept:
            return "the compressed model keeps every gate at another threshold"
        return self._less_pruned(start) or self._treated(start) or "no allowed move passes every gate"

    def _climb(self, start: Choice) -> Choice:
        """The first rung that is kept and changes few decisions; else the best of all."""
        rungs = [start, *(replace(start, calibration=name) for name in self.moves.ladder)]
        for rung in rungs:
            trial = self.judge(rung)
            if trial.kept and not trial.excess:
                return rung
        return min(rungs, key=lambda rung: _worth(self.judge(rung)))

    def _less_pruned(self, start: Choice) -> str | None:
        """The first lower ratio that keeps every gate, or one half-way back to the ratio that does not."""
        if start.prune is None or not self.allows("prune"):
            return None
        ratios = [round(start.prune * share, 4) for share in (1.0, *RATIOS)]
        for failed, ratio in itertools.pairwise(ratios):
            if (found := self._pruned(start, ratio)) is not None:
                return self._pruned(start, round((ratio + failed) / 2, 4)) or found
        return None

    def _pruned(self, start: Choice, ratio: float) -> str | None:
        choice = replace(start, prune=ratio)
        if self.bench.cost(choice) >= self.bound:
            return None
        if self.judge(choice).kept:
            return f"pruning {ratio:g} instead of {start.prune:g} passes every gate"
        return self._precision(choice) if self.lowered else None

    def _precision(self, start: Choice) -> str | None:
        """Low precision as far as it keeps every gate; None where it is not to blame, or nothing cheaper is found."""
        ranked = self.bench.nodes(start)
        harmless, cost = self._with_floats(start, ranked)
        most = fitting(ranked, cost, self.bound)
        if not (self.bench.is_reference(start) or harmless(names(most))):
            return None
        free = start
        for changed in self._free(start):
            trial = self.judge(changed(free))
            if trial.kept:
                return "a move that costs no time passes every gate"
            if trial.shortfall < self.judge(free).shortfall:
                free = changed(free)
        if self.allows("float") and most and (least := fewest(most, harmless, cost)):
            foretold = harm_of(item for item in ranked if item.node in least)
            if foretold:
                cheaper(ranked, harmless, cost, self.bound, foretold)
            if free != start:
                cheaper(ranked, *self._with_floats(free, ranked), self.bound)
        found = any(trial.kept and trial.choice.prune == start.prune for trial in self.usable)
        return "the cheapest nodes found went back to float" if found else None

    def _with_floats(self, choice: Choice, ranked: Sequence[Ranked]) -> tuple[Harmless, Cost]:
        """What a choice is worth by its nodes in float, named in the order of their ranking, and as nothing else."""

        def of(nodes: Nodes) -> Choice:
            return replace(
                choice,
                seven_bit=tuple(node for node in choice.seven_bit if node not in nodes),
                unsigned=tuple(node for node in choice.unsigned if node not in nodes),
                float_nodes=tuple(node for node in names(ranked) if node in nodes),
            )

        return lambda nodes: self.judge(of(nodes)).harmless, lambda nodes: self.bench.cost(of(nodes))

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
        if self.allows("operating-point"):
            yield _refitted

    def _treated(self, start: Choice) -> str | None:
        """Treatments of the compressed file, alone and together."""
        allowed = tuple(name for name in ("last-layer", "threshold") if self.allows(name))
        for post in dict.fromkeys([allowed[:1], allowed[1:], allowed]):
            if post and self.judge(replace(start, post=post)).kept:
                return f"{' and '.join(post)} on the compressed model passes every gate"
        return None


def _refitted(choice: Choice) -> Choice:
    """The same model, decided at the threshold that suits what compression has made of its scores."""
    return choice if "threshold" in choice.post else replace(choice, post=(*choice.post, "threshold"))


def repair(start: Choice, moves: Moves, bench: Bench, *, lowered: bool, reference_passes: bool) -> Repair:
    """Search for the cheapest compression that keeps every gate.

    Order: the recipe unchanged; the ladder, whose best takes the recipe's place; moves that cost no time (7-bit or
    unsigned weights where sums saturate, bias, other calibrations, another threshold), each kept where it helps;
    nodes back to float, of the recipe and then on top of those moves; the same at lower pruning ratios, of which the
    last step is halved once; treatments of the file. Before anything else is tried on INT8, the model with every node
    in float (once something is kept: with as many as cost less than that) shows whether INT8 is to blame; where that
    is the model before compression, it is. Dynamic INT8 and FP16 have no calibration: there only the threshold is
    tried before nodes go back to float.

    Once something is kept, nothing that costs as much is tried. Every choice is judged at most once. The cost is at
    most that of nodes in float alone, which are looked for as if there were no other move; and, where harms add up as
    ranked and the budget does not end, at most that of nodes in float on top of the moves that cost no time.

    Args:
        start: the recipe.
        lowered: whether it brings anything into low precision.
        reference_passes: whether the model before compression keeps every gate.
    """
    search = _Search(bench, moves, lowered=lowered)
    try:
        ended = search.run(start, reference_passes=reference_passes)
    except _SpentError:
        ended = f"the budget of {moves.trials} trials is exhausted"
    trials, usable = tuple(search.trials.values()), search.usable
    return Repair(min(usable, key=_worth), trials, ended)
