"""A small project with real training: two groups that the fair label treats alike and the unfair label does not."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from edgefair.cli import main

ROWS = 16_000
CONFIG = """\
project: small
data:
  source: people.parquet
  label: {label}
  positive: "yes"
  sensitive: [sex]
  exclude: [{other}]
  split: {{column: part, train: [train], audit: [test]}}
model:
  options: {{hidden: [128, 64]}}
train: {{epochs: 3, batch_rows: 256, learning_rate: 0.02}}
policy:
  max_eo_gap: 0.05
  attributes:
    sex: {{groups: [F, M]}}
"""


def write_people(folder: Path) -> None:
    rng = np.random.default_rng(0)
    sex = rng.choice(["F", "M"], ROWS)
    skill, job = rng.normal(size=ROWS), rng.choice(["cook", "nurse", "pilot"], ROWS)
    clear = skill + (job == "pilot") + 0.35 * rng.normal(size=ROWS)
    blurred = np.where(sex == "F", skill + (job == "pilot") + 2.5 * rng.normal(size=ROWS), clear)
    columns = {
        "skill": skill,
        "age": rng.integers(18, 80, ROWS),
        "job": job,
        "sex": sex,
        "fair": np.where(clear > 0.3, "yes", "no"),
        "unfair": np.where(blurred > 0.3, "yes", "no"),
        "part": np.where(np.arange(ROWS) % 2 == 0, "train", "test"),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "people.parquet")


def run(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments], catch_exceptions=False)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Folders `fair` and `unfair`, each with a config and a finished run; not to be written to."""
    root = tmp_path_factory.mktemp("projects")
    for label, other in (("fair", "unfair"), ("unfair", "fair")):
        folder = root / label
        folder.mkdir()
        write_people(folder)
        (folder / "edgefair.yaml").write_text(CONFIG.format(label=label, other=other))
        result = run("train", "-c", folder / "edgefair.yaml", "--name", "plain")
        assert result.exit_code == 0, result.output
    return root


@pytest.fixture(scope="session")
def shipped(trained):
    """The `fair` project with its bundle at dist/small; not to be written to."""
    config = trained / "fair" / "edgefair.yaml"
    result = run("export", "--int8", "-c", config, "--no-latency")
    assert result.exit_code == 0, result.output
    return trained / "fair"


@pytest.fixture
def project(trained, tmp_path):
    """A copy of the `fair` project, free to be changed."""
    used = shutil.ignore_patterns("dist", "edgefair.ledger.jsonl")
    return Path(shutil.copytree(trained / "fair", tmp_path / "project", ignore=used))
