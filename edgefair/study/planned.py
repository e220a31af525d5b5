"""The contrasts that a plan fixes before its run: against the controls by default.

Families of the defaults, each at the first level of every factor that it does not vary:
- `extent`: every extent minus `finetune-only`, for each treatment;
- `precision`: every extent with INT8, 4-bit weights or FP16 minus the same network without, for each treatment;
- `treatment`: every treatment minus `none`, minus `label-balance`, and minus the balance of labels in the trainings
  that it is of, for each extent;
- `undoing`: (treatment minus its control at the extent) minus (the same at `finetune-only`);
- `null`: `reordered` minus `none`, for each treatment: what another order of rows does, which is no effect;
- `slope`: least-squares slope per 10 % of noise, per doubling of the rows, per 10 % kept of a cell; and the slope at
  an extent minus that at `finetune-only`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from edgefair.errors import UsageError, did_you_mean
from edgefair.study.cells import Cell
from edgefair.study.contrasts import Contrast
from edgefair.study.levels import (
    CONTROL,
    DENSE,
    FACTORS,
    LABEL_BALANCE,
    PURITY,
    READ,
    REORDERED,
    UNTREATED,
    Purity,
)
from edgefair.study.plan import ContrastPlan, Plan

Terms = dict[str, float]
# Factor -> the step that its slopes are told by: one that a reader has seen, and that an effect of points is asked of.
STEPS = {"noise": "10 % of noise", "keep": "doubling of the rows", "thin": "10 % kept"}


def planned_contrasts(plan: Plan) -> tuple[Contrast, ...]:
    """All contrasts of a plan, in its order; those whose cells cannot be are not asked.

    Raises:
        UsageError: a contrast of a factor, level or cell that the plan does not have; one named twice; none at all.
    """
    known = {cell.condition for cell in plan.cells}
    found: list[Contrast] = []
    for item in plan.contrasts:
        if item == "defaults":
            found += [one for one in _defaults(plan) if all(condition in known for condition, _ in one.terms)]
        else:
            found.append(_own(plan, item, known))
    names = [(one.family, one.name) for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"contrast '{twice[1]}' of family '{twice[0]}' is planned twice")
    if not found:
        raise UsageError(
            "the plan has nothing to compare",
            expected=f"a control (extent {CONTROL}, treatment {UNTREATED} or {LABEL_BALANCE}) or contrasts of its own",
        )
    return tuple(found)


def _at(plan: Plan, **levels: Any) -> Terms:
    """One condition: the given levels, and the first of every other factor."""
    first = {name: getattr(plan.factors, name)[0] for name in FACTORS}
    return {Cell(**(first | levels), seed=0).condition: 1.0}


def _minus(one: Terms, other: Terms) -> Terms:
    return {key: one.get(key, 0.0) - other.get(key, 0.0) for key in {**one, **other}}


def _contrast(name: str, family: str, terms: Terms) -> Contrast:
    return Contrast(name, family, tuple((key, weight) for key, weight in terms.items() if weight))


def _defaults(plan: Plan) -> Iterator[Contrast]:
    given = {str(item): item for item in plan.factors.extent}
    extents = {name: item for name, item in given.items() if item.step != REORDERED}
    treatments = {str(item): item for item in plan.factors.treatment}
    controls = [name for name in (UNTREATED, LABEL_BALANCE) if name in treatments]
    control = extents.get(CONTROL)
    for name, treatment in treatments.items():
        for of, extent in extents.items():
            if control is not None and of != CONTROL:
                terms = _minus(
                    _at(plan, extent=extent, treatment=treatment), _at(plan, extent=control, treatment=treatment)
                )
                yield _contrast(f"{of} minus {CONTROL}, treatment {name}", "extent", terms)
            whole = str(extent.network)
            if extent.precision and whole in extents and whole != CONTROL:
                terms = _minus(
                    _at(plan, extent=extent, treatment=treatment), _at(plan, extent=extents[whole], treatment=treatment)
                )
                yield _contrast(f"{of} minus {whole}, treatment {name}", "precision", terms)
    for name, treatment in treatments.items():
        own = str(treatment.balanced)
        own_base = [own] if own in treatments and own not in controls else []
        for base in [*controls, *own_base]:
            if name == base or (treatment.is_control and base != UNTREATED):
                continue
            effect = {
                of: _minus(
                    _at(plan, extent=extent, treatment=treatment), _at(plan, extent=extent, treatment=treatments[base])
                )
                for of, extent in extents.items()
            }
            for of, terms in effect.items():
                yield _contrast(f"{name} minus {base}, extent {of}", "treatment", terms)
            if control is not None and base in {*controls[-1:], *own_base}:
                for of, terms in effect.items():
                    if of != CONTROL:
                        undone = _minus(terms, effect[CONTROL])
                        yield _contrast(f"({name} minus {base}), {of} minus {CONTROL}", "undoing", undone)
    yield from _null(plan, given, treatments)
    for factor in PURITY:
        yield from _slopes(plan, factor)


def _null(plan: Plan, extents: dict[str, Any], treatments: dict[str, Any]) -> Iterator[Contrast]:
    """The dense network of another order of rows minus itself."""
    if DENSE in extents and REORDERED in extents:
        for name, treatment in treatments.items():
            terms = _minus(*(_at(plan, extent=extents[extent], treatment=treatment) for extent in (REORDERED, DENSE)))
            yield _contrast(f"{REORDERED} minus {DENSE}, treatment {name}", "null", terms)


def _slopes(plan: Plan, factor: str) -> Iterator[Contrast]:
    """Slopes along the levels of one kind: of all rows, and of each cell that is named."""
    levels: Sequence[Purity] = getattr(plan.factors, factor)
    control = next((item for item in plan.factors.extent if str(item) == CONTROL), None)
    kinds = {(item.where, item.label): None for item in levels if item.amount is not None or factor == "noise"}
    for kind in kinds:
        along = [
            (x, item)
            for item in levels
            if ((item.where, item.label) == kind or item.amount is None) and (x := _amount(item)) is not None
        ]
        weights = _slope_weights([x for x, _ in along])
        if weights is None:
            continue
        slopes = {}
        for extent in plan.factors.extent:
            slopes[str(extent)] = {
                next(iter(_at(plan, extent=extent, **{factor: item}))): weight
                for (_, item), weight in zip(along, weights, strict=True)
            }
        cell = ", ".join([f"{column} {value}" for column, value in kind[0]] + ([f"label {kind[1]}"] if kind[1] else []))
        name = f"slope per {STEPS[factor]}{f' of {cell}' if cell else ''}"
        for of, terms in slopes.items():
            yield _contrast(f"{name}, extent {of}", "slope", terms)
            if control is not None and of != CONTROL:
                yield _contrast(f"{name}, {of} minus {CONTROL}", "slope", _minus(terms, slopes[CONTROL]))


def _amount(level: Purity) -> float | None:
    """Where a level lies on its axis, in the steps of `STEPS`; None for `keep all`, whose rows no plan knows."""
    if level.factor == "keep":
        return None if level.amount is None else math.log2(level.amount)
    if level.factor == "thin":
        return 10 * (1.0 if level.amount is None else level.amount)
    return 10 * (level.amount or 0.0)


def _slope_weights(x: Sequence[float]) -> list[float] | None:
    """w_k = (x_k - mean x) / sum (x - mean x)^2: sum w y is the least-squares slope. None without two values."""
    if len(set(x)) < 2:
        return None
    mean = math.fsum(x) / len(x)
    spread = math.fsum((value - mean) ** 2 for value in x)
    off = [value - mean for value in x]
    # The middle of evenly spaced values has no weight, and not that of a rounding error.
    return [value / spread if abs(value) > 1e-12 * max(map(abs, off)) else 0.0 for value in off]


def _own(plan: Plan, item: ContrastPlan, known: set[str]) -> Contrast:
    terms = [_condition(plan, item, side) for side in (item.of, item.minus)]
    for (condition,) in terms:
        if condition not in known:
            raise UsageError(
                f"contrast '{item.name}' asks for a cell that cannot be: {condition}",
                expected="a treatment `during` only with an extent that fine-tunes",
            )
    if terms[0] == terms[1]:
        raise UsageError(f"contrast '{item.name}' compares a cell with itself")
    return _contrast(item.name, item.family, _minus(*terms))


def _condition(plan: Plan, item: ContrastPlan, side: dict[str, Any]) -> Terms:
    levels = {}
    for factor, given in side.items():
        if factor not in FACTORS:
            raise UsageError(
                f"contrast '{item.name}': no factor '{factor}'{did_you_mean(factor, FACTORS)}",
                expected=f"one of {', '.join(FACTORS)}",
            )
        try:
            level = READ[factor](given)
        except UsageError as error:
            raise UsageError(f"contrast '{item.name}': {error.found}", expected=error.expected) from error
        own = [str(one) for one in getattr(plan.factors, factor)]
        if str(level) not in own:
            raise UsageError(
                f"contrast '{item.name}': {factor} '{level}' is no level of the plan{did_you_mean(str(level), own)}",
                expected=f"one of {', '.join(own)}",
            )
        levels[factor] = level
    return _at(plan, **levels)
