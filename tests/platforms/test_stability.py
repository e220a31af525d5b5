"""What docs/reference/stability.md promises of keys and schemas is so in the code."""

import re
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

import edgefair
from edgefair.config import Config

PACKAGE = Path(edgefair.__file__).parent
NAMED = re.compile(r'SCHEMA = "(edgefair\.[^"]*)"')


def sections(model, seen):
    """A section of the config, and those inside of it, however deep."""
    if model in seen:
        return
    seen.add(model)
    waiting = [field.annotation for field in model.model_fields.values()]
    while waiting:
        kind = waiting.pop()
        waiting += get_args(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            sections(kind, seen)


def test_no_section_of_the_config_ignores_a_key():
    found = set()
    sections(Config, found)
    assert len(found) > 10
    assert [model.__name__ for model in found if model.model_config.get("extra") != "forbid"] == []


def test_every_file_names_its_schema_with_a_number():
    names = [name for path in PACKAGE.rglob("*.py") for name in NAMED.findall(path.read_text(encoding="utf-8"))]
    assert len(names) > 20
    assert [name for name in names if not re.fullmatch(r"edgefair\.[a-z-]+/[1-9]", name)] == []
