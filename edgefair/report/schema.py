"""JSON Schemas of results."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from edgefair.decision.verdict import EARLIER_SCHEMA, VERDICT_SCHEMA, Outcome
from edgefair.measure.metrics import DIFFERENCES
from edgefair.probe.bundles.gates import AT_LEAST, AT_MOST, NAMES
from edgefair.report.results.earlier import FLIPS_OF_BEFORE
from edgefair.report.saved import READERS

EXIT_CODES: dict[str, Any] = {
    "enum": [0, 1, 3],
    "description": "0 may ship, 1 FAIL, 3 INCONCLUSIVE and blocked.",
}
# What `to_json` writes before the fields of a result, by the name of its schema, beside that name.
HEADS: Mapping[str, dict[str, Any]] = {
    "report": {
        "outcome": {"enum": [str(item) for item in Outcome], "description": "the worst target's."},
        "exit_code": EXIT_CODES,
    },
    "compare": {
        "exit_code": EXIT_CODES | {"description": "0 without a threshold; else 0 PASS, 1 FAIL, 3 INCONCLUSIVE."}
    },
    "plan": {"exit_code": {"enum": [0, 3], "description": "3 where INCONCLUSIVE is what to expect of a fair model."}},
    "diagnosis": {"hint": {"type": "string", "description": "what these numbers are, and what they are not."}},
    "explanation": {},
    "study-report": {"complete": {"type": "boolean", "description": "whether every planned cell was run."}},
    "error": {},
}
# What `to_json` adds to the fields of a type, by the type.
ADDED: dict[str, dict[str, Any]] = {
    "CellFlips": {
        name: {"type": "integer", "description": f"`{now}` in the first reports of this format."}
        for name, now in FLIPS_OF_BEFORE.items()
    },
    "DataSection": {"sha256": {"type": "string", "description": "digest of the section."}},
    "Gate": {
        "name": {"type": "string", "description": "what this format called it before gates had ids."},
        "direction": {
            "enum": [AT_LEAST, AT_MOST],
            "description": "whether the number shall be at least the threshold or at most.",
        },
    },
    "Verdict": {"schema": {"enum": [EARLIER_SCHEMA, VERDICT_SCHEMA]}},
}
# Keys that the first reports of this format lack, or that they alone have.
NEW = {
    "BroughtDecisions": {"files"},
    "CellFlips": {*FLIPS_OF_BEFORE, *FLIPS_OF_BEFORE.values()},
    "Comparison": {"code", "joined", "corrected_threshold"},
    "Gate": {"id", "direction"},
    "Disagreement": {"begins_in"},
    "GroupDisagreement": {"p_holm"},
    "LatencySummary": {"effective_queries", "ladder", "quantiles"},
    "TargetResult": {"looks", "information"},
    "LedgerCount": {"tries", "chance"},
    "Report": {"seal", "decisions"},
    "Verdict": {"assumptions"},
    "ComparisonReport": {"not_judged", "counted"},
    "Plan": {"not_judged", "sealed_verdict"},
    "AttributePlan": {"corrected_threshold"},
    "Explanation": {"notes", "called", "precision", "unsaturated"},
}
_ATTRIBUTES = re.compile(r"\n\nAttributes:\n(.*)", re.DOTALL)


def schema_of(kind: str) -> dict[str, Any]:
    """Draft 2020-12; generated from the result's own types, so that it cannot fall behind them.

    Args:
        kind: one of `HEADS`.
    """
    latest, home = READERS[f"edgefair.{kind}"]
    made = pkgutil.resolve_name(home.rpartition(".")[0])
    schema = TypeAdapter(made).json_schema(mode="serialization")
    parts: dict[str, dict[str, Any]] = schema.get("$defs", {})
    for name, part in {**parts, made.__name__: schema}.items():
        _describe(part)
        added = ADDED.get(name, {})
        part.get("properties", {}).update(added)
        if part["type"] == "object":
            part["required"] = [key for key in part["properties"] if key not in NEW.get(name, ())]
    if "Gate" in parts:
        parts["Gate"]["properties"]["id"]["enum"] = [*NAMES, *DIFFERENCES]
    if "Comparison" in parts:
        reason = "the code, and in words which rows are lacking."
        parts["Comparison"]["properties"]["reason"]["description"] = reason
    head = {"schema": {"const": f"edgefair.{kind}/{latest}"}, **HEADS[kind]}
    schema["properties"] = head | schema["properties"]
    schema["required"] = [*head, *schema["required"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _describe(part: dict[str, Any]) -> None:
    """Move what a docstring says of the attributes to the properties that it is about."""
    found = _ATTRIBUTES.search(part.get("description", ""))
    if found is None:
        return
    part["description"] = part["description"][: found.start()]
    for entry in re.split(r"\n(?=    \w)", f"\n{found[1]}"):
        names, _, text = " ".join(entry.split()).partition(": ")
        for name in filter(None, names.split(", ")):
            part["properties"][name]["description"] = re.sub(r"\bNone\b", "null", text)
