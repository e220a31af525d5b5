"""What is committed beside the code must be what the code says."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from edgefair.cli import main
from edgefair.config import load_config
from edgefair.workflow.project.init import config_schema

ROOT = Path(__file__).parent.parent.parent


def test_the_committed_schema_is_that_of_the_config():
    """`make schema` writes it."""
    assert json.loads((ROOT / "docs/edgefair.schema.json").read_text()) == config_schema()


@pytest.mark.parametrize(
    ("kind", "file"),
    [([], "report"), (["report"], "report"), (["compare"], "compare"), (["study-report"], "study-report")],
)
def test_the_committed_schema_of_results_is_the_one_that_the_command_prints(kind, file):
    """`make schema` writes it."""
    printed = CliRunner().invoke(main, ["report", "--schema", *kind])
    assert (printed.exit_code, printed.stdout) == (0, (ROOT / f"docs/{file}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(json.loads(printed.stdout))


def test_a_report_command_with_nothing_to_print_is_refused():
    refused = CliRunner().invoke(main, ["report"])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "nothing to print" in refused.stderr


def test_a_config_of_init_fits_the_schema(tmp_path):
    from edgefair.workflow.project.init import write_config

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
