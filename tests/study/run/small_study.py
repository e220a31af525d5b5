"""A study of seconds: drawn people, a network of two small layers, a few steps."""

import json
from pathlib import Path

import numpy as np

from edgefair.study.run.given import open_plan

ROWS = 1200
PROJECT = """
project: people
data:
  source: people.csv
  label: hired
  positive: "yes"
  sensitive: [sex]
  features: [a, b]
  split: {column: part, train: [train], validation: [validation], audit: [audit]}
model: {network: mlp, options: {hidden: [16, 8]}}
train: {epochs: 8, batch_rows: 64, learning_rate: 0.03}
policy: {attributes: {sex: {groups: [F, M]}}}
"""
PLAN = """
study: people
config: edgefair.yaml
factors:
  extent: [none, int8]
seeds: 2
"""


def write_project(folder, rows=ROWS):
    """The project's files."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, rows))
    sex, part = rng.choice(["F", "M"], rows), rng.choice(["train", "validation", "audit"], rows)
    hired = a + 0.5 * b + 0.3 * rng.normal(size=rows) < 0
    lines = [
        f"{x:.6f},{y:.6f},{s},{'yes' if h else 'no'},{p}" for x, y, s, h, p in zip(a, b, sex, hired, part, strict=True)
    ]
    (folder / "people.csv").write_text("\n".join(["a,b,sex,hired,part", *lines]) + "\n")
    (folder / "edgefair.yaml").write_text(PROJECT)


def given(folder, text=PLAN):
    """A plan beside the project's files."""
    write_project(folder)
    (folder / "plan.yaml").write_text(text)
    return open_plan(str(folder / "plan.yaml"))


def rows_in(folder):
    """What lies in a study's folder: key -> content of the row."""
    return {path.stem: json.loads(path.read_text())["row"] for path in Path(folder, "rows").glob("*.json")}
