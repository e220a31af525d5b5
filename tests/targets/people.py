"""A small project with a fair model that decides every row rightly, for whole commands on a target."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
from click.testing import CliRunner

from edgefair.cli import main
from tests.targets.onnx_models import classifier

ROWS = 4000
CONFIG = """\
project: people
data:
  source: people.parquet
  label: hired
  positive: "yes"
  sensitive: [sex]
  features: [a, b]
  split: {column: part, train: [train], validation: [validation], audit: [audit]}
policy:
  max_eo_gap: 0.1
  attributes:
    sex: {groups: [F, M]}
"""


def write_project(folder):
    """Config, rows and `model.onnx` in a folder."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, ROWS))
    columns = {
        "a": a,
        "b": b,
        "sex": rng.choice(["F", "M"], ROWS),
        "hired": np.where(a + 0.5 * b < 0, "yes", "no"),
        "part": rng.choice(["train", "validation", "audit"], ROWS, p=[0.25, 0.25, 0.5]),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "people.parquet")
    (folder / "edgefair.yaml").write_text(CONFIG)
    classifier(folder / "model.onnx")
    return folder


def run(command, project, *arguments):
    """A command on the project."""
    every = [command, "-c", project / "edgefair.yaml", *arguments]
    return CliRunner().invoke(main, [str(item) for item in every], catch_exceptions=False)


def report(command, project, *arguments):
    """Exit code and report of a command on the project."""
    done = run(command, project, *arguments, "--json")
    assert done.stdout, done.stderr
    return done.exit_code, json.loads(done.stdout)


def gate(report, name, target=0):
    """A gate of a target's verdict."""
    (found,) = (item for item in report["targets"][target]["verdict"]["gates"] if item["name"] == name)
    return found
