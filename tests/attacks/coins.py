"""A project in which nothing can be learned: coin flips, twenty columns of noise, and a network that remembers."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
from click.testing import CliRunner

from edgefair.cli import main

ROWS = 3000
CONFIG = """\
project: coins
data:
  source: people.parquet
  label: won
  positive: "yes"
  sensitive: [sex]
  id: row
model: {options: {hidden: [256, 256]}}
train: {epochs: 40, batch_rows: 128, learning_rate: 0.003, weight_decay: 0.0}
policy:
  max_eo_gap: 0.3
  min_balanced_accuracy: 0.7
  attributes:
    sex: {groups: [F, M]}
"""


def coins(rows=ROWS, seed=0, first=0):
    """Columns of people who win by chance."""
    rng = np.random.default_rng(seed)
    return {
        "row": np.array([f"r{first + row}" for row in range(rows)]),
        "won": rng.choice(["no", "yes"], rows),
        "sex": rng.choice(["F", "M"], rows),
        **{f"x{number}": rng.normal(size=rows).astype(np.float32) for number in range(20)},
    }


def write(folder, columns):
    pyarrow.parquet.write_table(
        pyarrow.table({name: column.tolist() for name, column in columns.items()}), folder / "people.parquet"
    )


def taken(columns, rows):
    return {name: column[rows] for name, column in columns.items()}


def both(one, other):
    return {name: np.concatenate([one[name], other[name]]) for name in one}


def run(project, *arguments):
    """A command's exit status and its whole output."""
    where = [str(item) for item in (*arguments, "-c", project / "edgefair.yaml")]
    result = CliRunner().invoke(main, where, catch_exceptions=False)
    return result.exit_code, result.output


def judged(project, *arguments):
    """A judging command's exit status and report."""
    code, output = run(project, *arguments, "--no-latency", "--json")
    return code, json.JSONDecoder().raw_decode(output[output.index("{") :])[0]
