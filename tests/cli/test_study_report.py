"""`edgefair study report` writes what a folder holds in every form, and says what is wrong with one that holds none."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from edgefair.cli import main
from edgefair.errors import UsageError
from edgefair.study.findings.folder import PLANS, TABLE
from edgefair.study.reading import read_plan
from edgefair.study.schema import plan_schema
from edgefair.study.table import to_parquet
from tests.study.drawn import table_of
from tests.study.test_plan import PLAN as CENSUS

ROOT = Path(__file__).parent.parent.parent
SCHEMA = plan_schema()
SMALL = """
study: drawn
factors: {extent: [none, finetune-only, int8], treatment: [none, label-balance, before]}
seeds: 3
"""


def run(*arguments):
    return CliRunner().invoke(main, ["study", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / PLANS[0]).write_text(SMALL)
    (tmp_path / TABLE).write_bytes(to_parquet(table_of(read_plan(SMALL))[:20]))
    return tmp_path


def test_a_study_is_reported_in_every_form_as_far_as_it_goes(folder):
    forms = {name: folder / f"study.{name}" for name in ("html", "markdown", "json")}
    done = run("report", folder, *(f"--format={name}={path}" for name, path in forms.items()))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("study drawn: Incomplete: 20 of 27 cells have run")
    report = json.loads(forms["json"].read_text())
    assert (report["schema"], report["complete"], report["not_run"]) == ("edgefair.study-report/1", False, 7)
    for name in ("html", "markdown"):
        assert "Incomplete" in forms[name].read_text()
    again = CliRunner().invoke(main, ["report", str(forms["json"])])
    assert (again.exit_code, again.stdout) == (0, done.stdout)


def test_what_is_no_study_or_no_form_of_one_is_refused_with_what_to_do(folder, tmp_path):
    refused = run("report", folder, "--format", "junit")
    assert refused.exit_code == 2
    assert "one of terminal, json, html, markdown" in refused.stderr
    (folder / TABLE).write_bytes(b"PAR1")
    refused = run("report", folder)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "this is no table of a study" in refused.stderr
    assert "holds no study" in run("report", tmp_path / "absent").stderr


def test_the_committed_schema_of_a_plan_is_the_one_that_is_printed():
    """`make schema` writes it."""
    printed = run("schema")
    assert (printed.exit_code, printed.stdout) == (0, (ROOT / "docs/study-plan.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(json.loads(printed.stdout))


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("seeds: 3", "seeds: [0, 1]"),
        ("seeds: 3", "seeds: 3\ncontrasts: [defaults, {name: x, of: {extent: int8}, minus: {noise: 0.1}}]"),
        ("extent: [none,", "extent: [none, prune 0.8 taylor + fp16, cluster 16, low-rank 0.5,"),
        ("noise: [0,", "thin: [none, {keep: 0.2, where: {sex: Female}}]\n  keep: [all, 2000]\n  noise: [0,"),
    ],
)
def test_what_is_a_plan_fits_the_schema(line, instead):
    text = CENSUS.replace(line, instead)
    read_plan(text)
    jsonschema.validate(yaml.safe_load(text), SCHEMA)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("int8, prune", "int4, prune"),
        ("prune 0.8,", "prune,"),
        ("prune 0.8,", "prune 0.8 tailor,"),
        ("before, during,", "befor, during,"),
        ("noise: [0,", "colour: [0,"),
        ("noise: [0, 0.1", "noise: [0, 0.7"),
        ("flip: 0.4", "flop: 0.4"),
        ("study: census-quick\n", ""),
        ("seeds: 3", "sedes: 3"),
        ("seeds: 3", "responses: [gaps]"),
    ],
)
def test_what_is_no_plan_does_not_fit_it(line, instead):
    text = CENSUS.replace(line, instead)
    with pytest.raises(UsageError):
        read_plan(text)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), SCHEMA)
