"""JSON Schema of the report."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter

from edgefair.decision.verdict import EARLIER_SCHEMA, VERDICT_SCHEMA, Outcome
from edgefair.measure.metrics import DIFFERENCES
from edgefair.probe.bundles.consistency import REPORT_SCHEMA
from edgefair.probe.bundles.gates import AT_LEAST, AT_MOST, NAMES
from edgefair.report.results.verification import Report

# What `to_json` adds to the fields of a type, by the type.
ADDED: dict[str, dict[str, Any]] = {
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
# Keys that the first reports of this format lack.
NEW = {
    "Comparison": {"code", "joined", "corrected_threshold"},
    "Gate": {"id", "direction"},
    "LatencySummary": {"effective_queries", "ladder"},
    "TargetResult": {"looks", "information"},
    "LedgerCount": {"tries", "chance"},
    "Report": {"seal", "decisions"},
    "Verdict": {"assumptions"},
}
_ATTRIBUTES = re.compile(r"\n\nAttributes:\n(.*)", re.DOTALL)


def report_schema() -> dict[str, Any]:
    """Draft 2020-12; generated from the report's own types, so that it cannot fall behind them."""
    schema = TypeAdapter(Report).json_schema(mode="serialization")
    parts: dict[str, dict[str, Any]] = schema["$defs"]
    for name, part in {**parts, "Report": schema}.items():
        _describe(part)
        added = ADDED.get(name, {})
        part.get("properties", {}).update(added)
        if part["type"] == "object":
            part["required"] = [key for key in part["properties"] if key not in NEW.get(name, ())]
    parts["Gate"]["properties"]["id"]["enum"] = [*NAMES, *DIFFERENCES]
    parts["Comparison"]["properties"]["reason"]["description"] = "the code, and in words which rows are lacking."
    head = {
        "schema": {"const": REPORT_SCHEMA},
        "outcome": {"enum": [str(item) for item in Outcome], "description": "the worst target's."},
        "exit_code": {"enum": [0, 1, 3], "description": "0 may ship, 1 FAIL, 3 INCONCLUSIVE and blocked."},
    }
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
