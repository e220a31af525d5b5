"""How the rows were chosen, as a person reads it in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgefair.report.results.verification import DataSection

ROLES = {
    "train": "train",
    "validation": "validation",
    "audit": "audit",
    "unused": "unused",
    "left_out_by_keep": "left out by keep",
    "thinned_out": "thinned out",
    "dropped": "dropped",
    "copies_left_out": "copies left out",
    "left_out_by_where": "left out by where",
}


def data_line(data: DataSection) -> str:
    """Label, split, and whatever else decides which rows are judged under which names; sizes of all parts."""
    section = data.section
    if not section:
        return "how its rows were chosen is not recorded"
    positive = "" if section["positive"] is None else f" (positive: {section['positive']})"
    audit = section.get("audit")
    parts = [f"label {section['label']}{positive}"]
    parts.append(_split(section["split"]) if audit is None else f"audit rows are those of {audit}")
    parts += [f"where {name} is {' or '.join(values)}" for name, values in section["where"].items()]
    parts += [f"{name} merged: {_merged(groups)}" for name, groups in section["merge"].items()]
    if section["equal_rows"] != "refuse":
        parts.append(f"equal rows: {section['equal_rows']}")
    rows = ", ".join(f"{ROLES.get(name, name)} {count:,}" for name, count in data.rows.items() if count)
    return f"{'; '.join(parts)}. Rows: {rows}"


def _split(split: Mapping[str, Any]) -> str:
    if split["column"] is None:
        return f"split drawn with seed {split['seed']}, {split['audit_fraction']:.0%} for the audit"
    unused = f", unused {', '.join(split['unused'])}" if split["unused"] else ""
    return f"split by {split['column']} (audit {', '.join(split['audit'])}{unused})"


def _merged(groups: Mapping[str, Any]) -> str:
    return ", ".join(f"{new} from {' and '.join(values)}" for new, values in groups.items())
