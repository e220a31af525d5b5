"""The rates whose gap a verdict is about, from a report's own evidence."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np

from edgefair.probe.bundles.strata import estimated_table

# Between the attributes of an intersection.
JOIN = "*"
# Group -> [labels, decisions that are compared].
Rates = Dict[Tuple[str, ...], np.ndarray]


def judged_rates(
    counts: Mapping[str, Any], table: np.ndarray, evidence: Mapping[str, Any]
) -> Callable[[str], np.ndarray]:
    """Attribute -> P(decision | label), [groups, labels, decisions that are compared]; NaN without rows.

    Those counted; where people count, those of people; where a label design chose the rows, those estimated; and where
    the reference was audited on rows of its own, those that it had there and what compression changed on these.

    counts, table: of the candidate.

    Raises:
        KeyError, TypeError, ValueError: no such evidence.
    """
    design, audited = evidence.get("design"), evidence.get("reference_audit")
    if audited is not None:
        return _joined(counts, table, evidence["paired"], design, audited)
    if design is not None:
        return lambda name: _of_design(design["rates"][name], lambda: _stacked(_rates(counts, table, name)))
    if evidence.get("strata") is not None:
        estimated = estimated_table(evidence["strata"])
        return lambda name: _where_counted(_rates(counts, estimated, name), _rates(counts, table, name))
    return lambda name: _stacked(_rates(counts, table, name))


def _joined(
    counts: Mapping[str, Any], table: np.ndarray, paired: Mapping[str, Any], design: Any, audited: Mapping[str, Any]
) -> Callable[[str], np.ndarray]:
    if (paired["attributes"], paired["groups"]) != (counts["attributes"], counts["groups"]):
        raise ValueError("its pairs of decisions are those of other groups")
    own, before = audited["counts"], np.asarray(paired["table"]).sum(axis=3)
    if before.shape != table.shape or (before.sum(axis=2) != table.sum(axis=2)).any():
        raise ValueError("its pairs of decisions are those of other rows")
    first = table_of(own)

    def of_rows(name: str) -> np.ndarray:
        reference, was, now = _rates(own, first, name), _rates(counts, before, name), _rates(counts, table, name)
        return _stacked({group: reference[group] + now[group] - was[group] for group in now if group in reference})

    def of_people(name: str) -> np.ndarray:
        change = design["changes"][name]
        plus, minus = (_of_design(change[part], lambda: np.asarray(np.nan)) for part in ("plus", "minus"))
        return np.asarray(_of_design(audited["design"]["rates"][name], lambda: np.asarray(np.nan)) + plus - minus)

    return of_rows if design is None else of_people


def _of_design(effective: Mapping[str, Any], otherwise: Callable[[], np.ndarray]) -> np.ndarray:
    """The rates that people count in; reports of before counted rows."""
    if "rate" not in effective:
        return otherwise()
    rate = np.where(np.asarray(effective["subjects"]) > 0, np.asarray(effective["rate"], dtype=np.float64), np.nan)
    return np.asarray(rate[:, :, 1:2] if rate.shape[2] == 2 else rate)


def _where_counted(rates: Rates, counted: Rates) -> np.ndarray:
    return np.where(np.isnan(_stacked(counted)), np.nan, _stacked(rates))


def _stacked(rates: Rates) -> np.ndarray:
    return np.stack(list(rates.values()))


def _rates(counts: Mapping[str, Any], table: np.ndarray, name: str) -> Rates:
    """P(decision | label) of the groups of an attribute, [labels, decisions that are compared]; NaN without rows."""
    attributes: List[str] = list(counts["attributes"])
    parts = [name] if name in attributes else name.split(JOIN)
    chosen = [attributes.index(part) for part in parts]
    joint = [tuple(group[index] for index in chosen) for group in counts["groups"]]
    position = {group: index for index, group in enumerate(sorted(set(joint)))}
    merged = np.zeros((len(position), *table.shape[1:]))
    np.add.at(merged, [position[group] for group in joint], table)
    rows = merged.sum(axis=2)[:, :, None]
    decisions = merged[:, :, 1:2] if table.shape[2] == 2 else merged
    rate = np.divide(decisions, rows, out=np.full(decisions.shape, np.nan), where=rows > 0)
    return {group: rate[index] for group, index in position.items()}


def table_of(counts: Mapping[str, Any]) -> np.ndarray:
    """Counts int64 [groups, labels, decisions].

    Raises:
        ValueError: they are none.
    """
    table, classes = np.asarray(counts["table"]), len(counts["classes"])
    if table.shape != (len(counts["groups"]), classes, classes) or table.dtype.kind not in "iu" or (table < 0).any():
        raise ValueError(f"counts of shape {table.shape}")
    return table.astype(np.int64)
