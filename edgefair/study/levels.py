"""The factors of a study and how their levels are written: short words, as a plan and a table show them.

| factor | levels |
|---|---|
| noise | `0.1` (share of labels flipped), or `{flip: 0.4, where: {sex: Female}, label: "50000+"}` of one cell |
| keep | `all`, or a number of training rows |
| thin | `none`, or `{keep: 0.2, where: {sex: Female}}` |
| extent | `none`, `finetune-only`, `scratch 0.5`, `prune 0.8 taylor`, `sparsity 0.8`, `low-rank 0.5`, `distil 0.5`, `cluster 16`, `qat + int8`, `int8`, `a16w8`, `w4`, `fp16`; ` + int8` or another of these behind another; `reordered`: the dense network of another order of rows, the noise floor |
| treatment | `none`, `label-balance`, `label-balance before`, `label-balance during`, `before`, `during`, `after`, and sums as `before + during`, or `label-balance + before`: before, then a label-balanced fine-tune |
"""  # noqa: E501

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from edgefair.compress.names import IMPORTANCES
from edgefair.errors import UsageError, did_you_mean

# In the order in which they are written and varied; the first three are the purity of the data.
FACTORS = ("noise", "keep", "thin", "extent", "treatment")
PURITY = FACTORS[:3]
CONTROL, DENSE, REORDERED, QAT = "finetune-only", "none", "reordered", "qat"
UNTREATED, LABEL_BALANCE = "none", "label-balance"
# The kind of INT8 that a project has; the other precisions are those of `compress.names`.
OWN_INT8 = "int8"
# Precision -> bits of a weight.
PRECISIONS: Mapping[str, int] = {OWN_INT8: 8, "a16w8": 8, "w4": 4, "fp16": 16}
# Of one training alone, where the other one is not to be balanced.
BALANCED_BEFORE, BALANCED_DURING = f"{LABEL_BALANCE} before", f"{LABEL_BALANCE} during"
TREATMENTS = (LABEL_BALANCE, BALANCED_BEFORE, BALANCED_DURING, "before", "during", "after")
# Word of an extent that takes a number -> what the number is.
SHARES = ("scratch", "prune", "sparsity", "low-rank", "distil")
# Extents whose network is trained from the start, and not from the dense one.
ANEW = ("scratch", REORDERED)
EXTENTS = (DENSE, CONTROL, REORDERED, *SHARES, "cluster", QAT, *PRECISIONS)
PLUS = " + "

# How the network of an extent came to be: the dense one itself, fine-tuned from it, or trained anew at its size.
Training = Literal["dense", "finetune", "anew"]
# The two trainings of a cell, whose rows a treatment weighs.
Stage = Literal["before", "during"]
STAGES: tuple[Stage, ...] = ("before", "during")


@dataclass(frozen=True)
class Extent:
    """What is done to the dense network.

    Attributes:
        step: of `EXTENTS`, without the precisions.
        amount: share removed (prune, sparsity), of the rank (low-rank) or width (scratch, distil), values (cluster);
            else None.
        importance: of prune.
        precision: of `PRECISIONS`, or None for the floats of training.
    """

    step: str
    amount: float | None = None
    importance: str | None = None
    precision: str | None = None

    @property
    def training(self) -> Training:
        """Which training made its weights."""
        return "dense" if self.step == DENSE else "anew" if self.step in ANEW else "finetune"

    @property
    def network(self) -> Extent:
        """The extent before its precision: what is trained once for all precisions."""
        return Extent(self.step, self.amount, self.importance)

    def __str__(self) -> str:
        words = [self.step, *([f"{self.amount:g}"] if self.amount is not None else [])]
        words += [self.importance] if self.importance not in {None, "magnitude"} else []
        if self.step == DENSE and self.precision:
            return self.precision
        return " ".join(words) + (f"{PLUS}{self.precision}" if self.precision else "")


def read_extent(text: Any) -> Extent:
    """An extent from how it is written.

    Raises:
        UsageError: no such step, number or importance.
    """
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"extent {text!r} is no text", expected="for example 'prune 0.8 + int8'")
    network, *precisions = [part.strip() for part in text.split("+")]
    if network in PRECISIONS:
        network, precisions = DENSE, [network, *precisions]
    if len(precisions) > 1:
        raise UsageError(
            f"extent '{text}': {' and '.join(precisions)} contradict: a weight has one type", fix="keep one of them"
        )
    for name in precisions:
        if name not in PRECISIONS:
            raise UsageError(
                f"extent '{text}': no precision '{name}'{did_you_mean(name, PRECISIONS)}",
                expected=" or ".join(PRECISIONS),
            )
    precision = precisions[0] if precisions else None
    step, *given = network.split()
    return _read_step(text, step, given, precision)


def _read_step(text: str, step: str, given: list[str], precision: str | None) -> Extent:
    if step not in EXTENTS:
        raise UsageError(
            f"no extent '{step}'{did_you_mean(step, EXTENTS)}",
            expected=f"one of {', '.join(EXTENTS)}, as in 'prune 0.8'",
        )
    if step == QAT and precision != OWN_INT8:
        raise UsageError(f"extent '{text}': it trains for INT8, which does not follow", fix="write 'qat + int8'")
    if step in {DENSE, CONTROL, REORDERED, QAT}:
        if given:
            raise UsageError(f"extent '{text}': '{step}' takes no number")
        return Extent(step, precision=precision)
    amount = _number(given[0]) if given else None
    if amount is None:
        raise UsageError(
            f"extent '{text}' lacks its number", expected=f"as in '{step} {16 if step == 'cluster' else 0.5}'"
        )
    if step == "cluster":
        if not (amount.is_integer() and 2 <= amount <= 4096):
            raise UsageError(f"extent '{text}': {amount:g} values", expected="a whole number from 2 to 4096")
    elif not 0 < amount < 1:
        raise UsageError(f"extent '{text}': a share of {amount:g}", expected="above 0 and below 1")
    return Extent(step, amount, _importance(text, step, given[1:]), precision)


def _importance(text: str, step: str, words: list[str]) -> str | None:
    if step != "prune":
        if words:
            raise UsageError(f"extent '{text}': '{step}' takes one number and no '{words[0]}'")
        return None
    if len(words) > 1:
        raise UsageError(f"extent '{text}': one importance, not {len(words)}")
    name = words[0] if words else "magnitude"
    if name not in IMPORTANCES:
        raise UsageError(
            f"extent '{text}': no importance '{name}'{did_you_mean(name, IMPORTANCES)}",
            expected=f"one of {', '.join(IMPORTANCES)}",
        )
    return name


@dataclass(frozen=True)
class Treatment:
    """What is done against bias, and when.

    Attributes:
        parts: of `TREATMENTS`, in their order. `label-balance` weighs the labels equally in every training that has no
            method of its own, `label-balance before` in the dense one, `label-balance during` in the fine-tune.
    """

    parts: tuple[str, ...] = ()

    def weighs(self, stage: Stage) -> str:
        """What weighs the rows of a training: its own method (the stage), else the balance of labels, else nothing."""
        if stage in self.parts:
            return stage
        balanced = LABEL_BALANCE in self.parts or f"{LABEL_BALANCE} {stage}" in self.parts
        return LABEL_BALANCE if balanced else UNTREATED

    @property
    def is_control(self) -> bool:
        """Whether it weighs labels alone, or nothing."""
        return all(name.startswith(LABEL_BALANCE) for name in self.parts)

    @property
    def balanced(self) -> Treatment:
        """Its own control: labels weighed equally where it weighs groups and labels, and nothing done after."""
        stages = [stage for stage in STAGES if self.weighs(stage) != UNTREATED]
        return Treatment(
            (LABEL_BALANCE,) if len(stages) == 2 else tuple(f"{LABEL_BALANCE} {stage}" for stage in stages)
        )

    @property
    def of_finetune(self) -> bool:
        """Whether it names what is done in the fine-tune, without which there is nothing of that name."""
        return "during" in self.parts or BALANCED_DURING in self.parts

    def __str__(self) -> str:
        return PLUS.join(self.parts) or UNTREATED


def read_treatment(text: Any) -> Treatment:
    """A treatment from how it is written.

    Raises:
        UsageError: no such treatment, or one named twice.
    """
    if not isinstance(text, str):
        raise UsageError(f"treatment {text!r} is no text", expected="for example 'before + during'")
    parts = [part.strip() for part in text.split("+")]
    if parts == [UNTREATED]:
        return Treatment()
    for name in parts:
        if name == UNTREATED:
            raise UsageError(f"treatment '{text}': '{UNTREATED}' contradicts the others", fix="keep one of them")
        if name not in TREATMENTS:
            raise UsageError(
                f"no treatment '{name}'{did_you_mean(name, (UNTREATED, *TREATMENTS))}",
                expected=f"{', '.join((UNTREATED, *TREATMENTS))}, or a sum such as 'before + during'",
            )
        if parts.count(name) > 1:
            raise UsageError(f"treatment '{text}' names '{name}' twice")
    for stage in STAGES:
        idle = [name for name in (stage, LABEL_BALANCE) if name in parts and f"{LABEL_BALANCE} {stage}" in parts]
        if idle:
            raise UsageError(
                f"treatment '{text}': '{LABEL_BALANCE} {stage}' has no training that '{idle[0]}' leaves it",
                fix="keep one of them",
            )
    if {BALANCED_BEFORE, BALANCED_DURING} <= {*parts}:
        raise UsageError(f"treatment '{text}' balances both trainings", fix=f"write '{LABEL_BALANCE}'")
    return Treatment(tuple(name for name in TREATMENTS if name in parts))


@dataclass(frozen=True)
class Purity:
    """One level of a factor of the data.

    Attributes:
        factor: noise, keep or thin.
        amount: share flipped, rows kept (None for all), share kept.
        where: column -> value; empty for all rows.
        label: whose labels are flipped; None for all.
    """

    factor: str
    amount: float | None
    where: tuple[tuple[str, str], ...] = ()
    label: str | None = None

    @property
    def amount_text(self) -> str:
        """The amount alone."""
        return {"keep": "all", "thin": "none"}.get(self.factor, "0") if self.amount is None else f"{self.amount:.12g}"

    def __str__(self) -> str:
        cell = dict(self.where) | ({"label": self.label} if self.label is not None else {})
        # As JSON, so that no two cells are written alike whatever their values contain.
        return self.amount_text + (f" of {json.dumps(cell, ensure_ascii=False)}" if cell else "")


def read_purity(factor: str, given: Any) -> Purity:
    """A level of noise, keep or thin from how it is written.

    Raises:
        UsageError: it is none.
    """
    if factor == "keep":
        if given == "all":
            return Purity("keep", None)
        if not _is_number(given) or given != int(given) or given < 1:
            raise UsageError(f"keep: {given!r}", expected="'all', or a whole number of training rows")
        return Purity("keep", float(given))
    if factor == "noise" and _is_number(given):
        return Purity("noise", _share(factor, "noise", given, most=0.5) or None)
    if factor == "thin" and given == "none":
        return Purity("thin", None)
    amount = "flip" if factor == "noise" else "keep"
    keys = {amount, "where"} | ({"label"} if factor == "noise" else set())
    if not isinstance(given, Mapping):
        example = "0.1" if factor == "noise" else "none"
        raise UsageError(f"{factor}: {given!r}", expected=f"{example}, or {{{amount}: 0.2, where: {{COLUMN: VALUE}}}}")
    for key in given:
        if key not in keys:
            raise UsageError(
                f"{factor}: no key '{key}'{did_you_mean(str(key), keys)}", expected=f"one of {', '.join(sorted(keys))}"
            )
    where = given.get("where", {})
    if not isinstance(where, Mapping) or (not where and given.get("label") is None):
        raise UsageError(f"{factor}: where is {where!r}", expected="the rows that it is about, as {sex: Female}")
    cell = tuple((str(column), str(value)) for column, value in sorted(where.items()))
    label = given.get("label")
    share = _share(factor, amount, given.get(amount), most=1.0)
    return Purity(factor, share, cell, None if label is None else str(label))


def _share(factor: str, key: str, value: Any, *, most: float) -> float:
    if not _is_number(value) or not 0 <= value < most:
        raise UsageError(f"{factor}: {key} is {value!r}", expected=f"a share of at least 0 and below {most:g}")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


# Factor -> what reads a level of it.
READ: Mapping[str, Callable[[Any], Any]] = {
    **{name: partial(read_purity, name) for name in PURITY},
    "extent": read_extent,
    "treatment": read_treatment,
}
