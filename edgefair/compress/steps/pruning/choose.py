"""How much of every unit stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from edgefair.compress.config import Scope
from edgefair.compress.steps.pruning.units import Unit

# No unit loses more than this share of its atoms.
MOST = 0.95
# onnxruntime computes FP32 in blocks of 16 channels with AVX-512 (8 with AVX2), and INT8 in pointwise layers too: 84
# channels take as long as 96, and 66 as long as 80. Narrow units, which would be left a choice of less than LEAST_STEPS
# sizes, go in smaller steps.
ROUND_TO = 16
LEAST_STEPS = 4


def step_of(unit: Unit, round_to: int) -> int:
    """Atoms that leave a unit at a time, so that multiples of `round_to` channels stay; a head at a time."""
    step = 1 if unit.heads else max(1, round_to // unit.width)
    while step > 1 and unit.atoms // step < LEAST_STEPS:
        step //= 2
    return step


def wanted(
    units: Sequence[Unit], scores: Sequence[Tensor], share: float, *, scope: Scope, round_to: int
) -> list[float]:
    """How many atoms of each unit stay, before rounding, where a share of those that may leave is taken.

    Args:
        scores: [atoms] per unit; the lowest leave.
        share: 0 keeps everything; 1 leaves what `MOST` lets leave.
        scope: `local` takes the same share of every unit, `global` ranks the atoms of all units together.
    """
    least = [_least(unit, round_to) for unit in units]
    if scope == "local":
        return [unit.atoms - share * (unit.atoms - few) for unit, few in zip(units, least, strict=True)]
    free = [score.sort(descending=True, stable=True).values[few:] for score, few in zip(scores, least, strict=True)]
    unit_of = torch.cat([torch.full((len(part),), index) for index, part in enumerate(free)])
    every = torch.cat(free).sort(stable=True).indices
    gone = unit_of[every[: round(share * len(every))]].bincount(minlength=len(units)).tolist()
    return [float(unit.atoms - count) for unit, count in zip(units, gone, strict=True)]


def rounded(units: Sequence[Unit], stay: Sequence[float], round_to: int) -> list[int]:
    """Atoms that stay, in whole steps: the nearest number, never 0."""
    found = []
    for unit, number in zip(units, stay, strict=True):
        step = step_of(unit, round_to)
        whole = unit.atoms if number >= unit.atoms else min(unit.atoms, math.floor(number / step + 0.5) * step)
        found.append(max(_least(unit, round_to), whole))
    return found


def filled(
    units: Sequence[Unit], stay: Sequence[float], enough: Callable[[Sequence[int]], bool], round_to: int
) -> list[int]:
    """The rounded numbers, with a step given back where that is still enough: first to what rounding took most from."""
    kept = rounded(units, stay, round_to)
    steps = [step_of(unit, round_to) for unit in units]
    for index in sorted(range(len(units)), key=lambda i: (kept[i] - stay[i]) / steps[i]):
        more = [*kept]
        more[index] = min(units[index].atoms, kept[index] + steps[index])
        if more != kept and enough(more):
            kept = more
    return kept


def leaving(scores: Sequence[Tensor], kept: Sequence[int]) -> list[Tensor]:
    """The atoms of each unit that leave, int64 [n]: those with the lowest scores; of equal ones the last."""
    return [
        score.sort(descending=True, stable=True).indices[stay:].sort().values
        for score, stay in zip(scores, kept, strict=True)
    ]


def smallest_share(enough: Callable[[float], bool], levels: int) -> float | None:
    """The smallest of `levels` shares that is enough, by bisection; None where even 1 is not.

    Args:
        enough: false up to some share and true from there on.
    """
    if not enough(1.0):
        return None
    low, high = 0, levels
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle / levels) else (middle, high)
    return high / levels


def _least(unit: Unit, round_to: int) -> int:
    step = step_of(unit, round_to)
    return min(unit.atoms, max(step, math.ceil((1 - MOST) * unit.atoms / step) * step))
