"""JSON Schema of the report."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from edgefair.decision.verdict import VERDICT_SCHEMA, Outcome
from edgefair.report.model import REPORT_SCHEMA, Report


def report_schema() -> dict[str, Any]:
    """Draft 2020-12; generated from the report's own types, so that it cannot fall behind them."""
    schema = TypeAdapter(Report).json_schema(mode="serialization")
    added = {
        "schema": {"const": REPORT_SCHEMA},
        "outcome": {"enum": [str(item) for item in Outcome]},
        "exit_code": {"enum": [0, 1, 3]},
    }
    schema["properties"] = added | schema["properties"]
    schema["required"] = [*added, *schema["required"]]
    schema["$defs"]["Verdict"]["properties"]["schema"] = {"const": VERDICT_SCHEMA}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
