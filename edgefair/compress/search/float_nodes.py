"""Which nodes go back to float: few trials, little cost. Pure: what a set of nodes is worth comes from callables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Nodes = tuple[str, ...]
# Whether a model with these nodes in float does no harm (a trial), and what it costs (none).
Harmless = Callable[[Nodes], bool]
Cost = Callable[[Nodes], float]
# The share of the harm that is expected to be too much, the share of the worst node's harm that is clear harm, and how
# many nodes of clear harm in a row show that the ranking is right.
MOST, CLEAR, ENOUGH = 0.7, 0.1, 2
# The share of the cost that is worth a trial.
WORTH = 0.02


@dataclass(frozen=True)
class Ranked:
    """A node in low precision, and how much harm that seems to do: 0 or more, in any unit."""

    node: str
    harm: float


def names(ranked: Iterable[Ranked]) -> Nodes:
    """The nodes alone."""
    return tuple(item.node for item in ranked)


def fewest(ranked: Sequence[Ranked], harmless: Harmless, cost: Cost) -> Nodes | None:
    """The shortest harmless prefix of a ranking, then without what it can spare; None where the whole does harm.

    Nodes of clear harm are tried only where the ranking did not foretell how many are needed. More float is taken to
    be no worse: where that is wrong it still ends at nodes that were tried.
    """
    guess = likely(ranked)
    count = _least(lambda count: harmless(names(ranked[:count])), guess, len(ranked))
    if count is None:
        return None
    foretold, unclear = abs(count - guess) <= 1, _unclear(ranked[:count])
    # Without the last one the prefix does harm.
    spare = [item for item in ranked[: count - 1] if item in unclear or not foretold]
    return _thinned(ranked[:count], spare, harmless, cost)


def cheaper(ranked: Sequence[Ranked], harmless: Harmless, cost: Cost, below: float, enough: float = 0.0) -> None:
    """Try nodes that cost less than others that are known to be harmless.

    First as much as fits below that cost: where even that does harm nothing else is worth a trial. Then what can be
    won is halved, until it is less than `WORTH`; last nodes of no clear harm are left out, as many as can be.

    Args:
        below: the cost of those others.
        enough: the harm that nodes must take away to be worth a trial.
    """
    low, high, tried = cost(()), below, below
    found: list[Ranked] = []
    while high - low > WORTH * high:
        fits = fitting(ranked, cost, tried)
        if fits and harm_of(fits) >= enough and harmless(names(fits)):
            found, high = fits, cost(names(fits))
        elif not found:
            return
        else:
            low = tried
        tried = (low + high) / 2
    if found:
        unclear = _by_density(_unclear(found), cost)
        clear = [item for item in found if item not in unclear]
        _least(lambda count: harmless(names([*clear, *unclear[: count - 1]])), 1, len(unclear) + 1)


def fitting(ranked: Sequence[Ranked], cost: Cost, below: float) -> list[Ranked]:
    """Nodes that may be in float together for a cost below `below`, and without which little harm is left.

    A knapsack, filled greedily with the most harm first, and with the most harm per cost first; of both the one that
    takes more harm away: at least half of what the best one takes (Dantzig, 1957).
    """
    if cost(names(ranked)) < below:
        return list(ranked)
    filled = [_filled(order, cost, below) for order in (ranked, _by_density(ranked, cost))]
    return max(filled, key=harm_of)


def _filled(ordered: Sequence[Ranked], cost: Cost, below: float) -> list[Ranked]:
    found: list[Ranked] = []
    for item in ordered:
        if cost(names([*found, item])) < below:
            found.append(item)
    return found


def harm_of(ranked: Iterable[Ranked]) -> float:
    """The harm that nodes do together, as far as it adds up."""
    return sum(item.harm for item in ranked)


def _by_density(ranked: Sequence[Ranked], cost: Cost) -> list[Ranked]:
    """Most harm per cost of float first; of nodes without harm the cheap ones first."""
    added = {item.node: cost((item.node,)) - cost(()) for item in ranked}

    def key(item: Ranked) -> tuple[float, float]:
        return -item.harm / max(added[item.node], 1e-9), added[item.node]

    return sorted(ranked, key=key)


def _unclear(ranked: Sequence[Ranked]) -> list[Ranked]:
    """Nodes that do no clear harm beside the worst."""
    least = CLEAR * max(item.harm for item in ranked)
    return [item for item in ranked if item.harm <= least]


def _thinned(ranked: Sequence[Ranked], spare: Sequence[Ranked], harmless: Harmless, cost: Cost) -> Nodes:
    """Without what can be spared: from the least harm per cost on, in strides that double.

    A run of n nodes that can be spared costs log n trials, each that cannot costs one. It ends where some nodes of
    clear harm in a row could not be spared.
    """
    chosen, unclear = names(ranked), names(_unclear(ranked))
    tried = _by_density(spare, cost)
    end, stride, needed = len(tried), 1, 0
    while end > 0 and needed < ENOUGH:
        stride = min(stride, end)
        spared = names(tried[end - stride : end])
        fewer = tuple(node for node in chosen if node not in spared)
        if harmless(fewer):
            chosen, end, stride, needed = fewer, end - stride, 2 * stride, 0
        elif stride > 1:
            stride //= 2
        else:
            end -= 1
            needed += tried[end].node not in unclear
    return chosen


def likely(ranked: Sequence[Ranked]) -> int:
    """How many of the first nodes do most of the harm: at least one."""
    total, found = harm_of(ranked), 0.0
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
