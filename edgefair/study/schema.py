"""JSON Schema of a plan, for editors: the keys of `plan.Plan`, and how the levels of each factor are written."""

from __future__ import annotations

import re
from typing import Any

from edgefair.compress.names import IMPORTANCES
from edgefair.study.levels import EXTENTS, PRECISIONS, SHARES, TREATMENTS, UNTREATED
from edgefair.study.plan import ContrastPlan, Plan
from edgefair.study.table import RESPONSES

SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
WHERE = {"type": "object", "minProperties": 1, "description": "Column and value of the rows that it is about."}


def plan_schema() -> dict[str, Any]:
    """Draft 2020-12. What it cannot say (a share that is too large for its place) `edgefair study` says."""
    schema = Plan.model_json_schema(mode="validation")
    parts = schema["$defs"]
    parts["Factors"]["properties"] = {name: _levels(*item) for name, item in _factors().items()}
    parts["Factors"]["minProperties"] = 1
    # What their types are in code; a plan writes words.
    for name in ("Purity", "Extent", "Treatment"):
        parts.pop(name, None)
    level = {"anyOf": [{"type": ["string", "number"]}, {"type": "object"}]}
    for side in ("of", "minus"):
        sides = parts[ContrastPlan.__name__]["properties"][side]
        sides["description"] = "Factor and level; a factor that is not named is at its first level."
        sides["additionalProperties"] = level
    parts["Part"]["properties"] = {name: _part(*item) for name, item in _factors().items()}
    parts["Part"]["minProperties"] = 1
    schema["properties"]["responses"]["items"] = {"enum": list(RESPONSES)}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A plan of edgefair study"} | {
        key: value for key, value in schema.items() if key != "title"
    }


def _factors() -> dict[str, tuple[str, dict[str, Any]]]:
    """Factor -> what it is, and the schema of one level."""
    numbers = "|".join(map(re.escape, (*SHARES, "cluster")))
    plain = "|".join(re.escape(name) for name in EXTENTS if name not in {*SHARES, "cluster"})
    importances, precisions = "|".join(map(re.escape, IMPORTANCES)), "|".join(map(re.escape, PRECISIONS))
    extent = rf"^(({plain})|({numbers}) [0-9.]+( ({importances}))?)( \+ ({precisions}))?$"
    parts = "|".join(map(re.escape, TREATMENTS))
    noise = _cell("flip", "where", "label")
    return {
        "noise": ("Share of the training labels that are flipped, of all or of one cell.",
                  {"anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 0.5}, noise]}),
        "keep": ("Number of training rows that are kept.",
                 {"anyOf": [{"const": "all"}, {"type": "integer", "minimum": 1}]}),
        "thin": ("Share of the rows of one cell that is kept.", {"anyOf": [{"const": "none"}, _cell("keep", "where")]}),
        "extent": ("What is done to the dense network, as 'prune 0.8 + int8'.",
                   {"type": "string", "pattern": extent}),
        "treatment": ("What is done against bias and when, as 'before + during'.",
                      {"type": "string", "pattern": rf"^({UNTREATED}|({parts})( ?\+ ?({parts}))*)$"}),
    }  # fmt: skip


def _cell(share: str, *others: str) -> dict[str, Any]:
    known: dict[str, Any] = {"where": WHERE, "label": {"type": ["string", "number", "boolean"]}}
    properties = {share: SHARE, **{name: known[name] for name in others}}
    return {"type": "object", "properties": properties, "required": [share], "additionalProperties": False}


def _part(what: str, level: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [level, {"type": "array", "minItems": 1, "items": level}], "description": what}


def _levels(what: str, level: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 2, "items": level, "description": what}
