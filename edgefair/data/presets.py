"""What a built-in set or a published layout fills in of the `data:` section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from edgefair.data.images.generated import GENERATED
from edgefair.data.layouts import LAYOUTS, PICTURE

# What a built-in set fills in where the user says nothing.
BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    "census-income": {
        "label": "income",
        "positive": "50000+",
        "sensitive": ["sex", "race"],
        "exclude": ["instance_weight"],
        "categorical": [
            "detailed_industry_recode",
            "detailed_occupation_recode",
            "own_business_or_self_employed",
            "veterans_benefits",
            "year",
        ],
        "split": {"column": "split", "train": ["train"], "audit": ["test"]},
        # Every record is another person of the survey.
        "equal_rows": "people",
    },
    "emoji-people": {
        "label": "presentation",
        "sensitive": ["skin_tone"],
        "picture": "image",
        "subject": "code",
    },
    "glyphs": {
        "label": "shape",
        "sensitive": ["group"],
        "picture": "picture",
        "split": {"column": "split", "train": ["train"], "audit": ["audit"]},
    },
    "peeps": {
        "label": "feeling",
        "sensitive": ["tone"],
        "picture": "picture",
        "split": {"column": "split", "train": ["train"], "audit": ["audit"]},
    },
}


def preset_of(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the source or its layout fills in."""
    layout = value.get("layout")
    if isinstance(layout, str) and layout in LAYOUTS:
        split = LAYOUTS[layout].split
        return {"picture": PICTURE, **({"split": dict(split)} if split else {})}
    source = value["source"]
    preset = BUILT_IN.get(source)
    if preset is None or source not in GENERATED:
        return preset
    try:
        labels = GENERATED[source].knobs.model_validate(value.get(source) or {}).labels
    except ValidationError:
        # What is wrong with the knobs is said where they are read.
        return preset
    return {**preset, **({"positive": labels[1]} if len(labels) == 2 else {})}
