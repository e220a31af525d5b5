"""What is committed beside the code must be what the code says."""

import json
from pathlib import Path

import jsonschema
import yaml

from edgefair.workflow.init import config_schema

ROOT = Path(__file__).parent.parent.parent


def test_the_committed_schema_is_that_of_the_config():
    """`make schema` writes it."""
    assert json.loads((ROOT / "docs/edgefair.schema.json").read_text()) == config_schema()


def test_a_config_of_init_fits_the_schema(tmp_path):
    from edgefair.workflow.init import write_config

    write_config(tmp_path / "edgefair.yaml", source="census-income", given={})
    config = yaml.safe_load((tmp_path / "edgefair.yaml").read_text())
    jsonschema.validate(config, config_schema())
    assert config["policy"]["attributes"] == {"sex": {"groups": ["Female", "Male"]}}


def test_every_key_of_the_config_is_described():
    for name, part in config_schema()["$defs"].items():
        for key, value in part.get("properties", {}).items():
            assert value.get("description"), f"{name}.{key}"
