"""A small table of which rows are repeated, and how a model of it is judged."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet

from tests.attacks.judged import linear, run, spec

CONFIG = """\
project: people
data:
  source: people.parquet
  label: label
  positive: "yes"
  sensitive: [sex]
  split: {column: part, train: [train], audit: [test]}
policy:
  max_eo_gap: 0.05
  attributes:
    sex: {groups: [F, M]}
"""


def people(rows=3000, seed=3):
    """Numbers of which `a` gives the label away, most of the time."""
    rng = np.random.default_rng(seed)
    yes = rng.integers(0, 2, rows)
    return {
        "a": ((yes * 2 - 1) + rng.normal(0, 0.75, rows)).astype(np.float32),
        "b": rng.normal(size=rows).astype(np.float32),
        "sex": rng.choice(["F", "M"], rows),
        "label": np.where(yes == 1, "yes", "no"),
        "part": np.where(np.arange(rows) < rows * 0.6, "train", "test"),
    }


def judge(folder, columns, *flags, config=CONFIG):
    """Exit status of `edgefair verify`, and its report or what it said."""
    columns = {name: pyarrow.array(np.asarray(column).tolist()) for name, column in columns.items()}
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "people.parquet")
    model = linear(folder / "m.onnx", (2.0, 0.0), said=spec(columns=2))
    (folder / "edgefair.yaml").write_text(config)
    result = run("verify", folder, model, "--no-latency", "--json", *flags)
    return result.exit_code, json.loads(result.stdout) if result.exit_code in (0, 1, 3) else result.stderr
