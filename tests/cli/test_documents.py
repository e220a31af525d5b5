"""What is committed beside the code must be what the code says."""

import json
from pathlib import Path

import jsonschema
import yaml

from edgefair.config import load_config
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
    assert [*config["policy"]["attributes"]] == ["sex", "race"]
    assert config["policy"]["attributes"]["sex"] == {"groups": ["Female", "Male"]}


def test_the_demo_judges_what_it_says_and_fits_the_schema():
    config = load_config(ROOT / "examples/census/edgefair.yaml")
    jsonschema.validate(yaml.safe_load((ROOT / "examples/census/edgefair.yaml").read_text()), config_schema())
    assert config.policy.not_judged(config.data.sensitive) == ("race",)
    assert (config.train.epochs, config.train.batch_rows) == (4, 1024)


def test_every_key_of_the_config_is_described():
    for name, part in config_schema()["$defs"].items():
        for key, value in part.get("properties", {}).items():
            assert value.get("description"), f"{name}.{key}"
