"""`verify --decisions`, `data export-inputs`: the commands, and what does not go together."""

import json

import pytest

from tests.e2e.commands import run
from tests.workflow.small_project import ROWS, dense_of, project

CONFIG = """\
project: people
data:
  source: people.parquet
  label: hired
  positive: "yes"
  sensitive: [sex]
  features: [a, b]
  split: {column: part, train: [train], validation: [validation], audit: [audit]}
policy: {max_eo_gap: 0.3, attributes: {sex: {groups: [F, M]}}}
"""
TOGETHER = [
    ("--decisions", "d.csv", "--sequential"),
    ("--decisions", "d.csv", "--uncompressed"),
    ("--decisions", "d.csv", "--record", "r.npz"),
    ("--decisions", "d.csv", "--from-record", "r.npz"),
    ("--decisions", "d.csv", "--weights", "w.safetensors"),
    ("--decisions", "d.csv", "--reference-audit", "a.json"),
    ("--decisions", "d.csv", "--write-reference-audit", "a.json"),
    ("--decisions", "d.csv", "--target", "local", "--target", "qemu:haswell"),
    ("--reference-decisions", "d.csv"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    project(tmp_path)
    dense_of(tmp_path)
    (tmp_path / "edgefair.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("options", TOGETHER, ids=" ".join)
def test_what_brought_decisions_cannot_be_judged_by_is_refused(folder, options):
    result = run("verify", *options)
    assert result.exit_code == 2
    assert "--decisions" in result.stderr


def test_inputs_go_out_as_a_table_and_decisions_come_back(folder):
    out = run("data", "export-inputs", "model.onnx", "-o", "inputs.csv")
    assert out.exit_code == 0, out.output
    head, *rows = (folder / "inputs.csv").read_text().splitlines()
    assert head == '"edgefair_row","a","b"'
    assert 0 < len(rows) < ROWS
    decided = ["edgefair_row,decision"]
    for row in rows:
        name, a, b = row.split(",")
        decided.append(f"{name},{'no' if float(a) + float(b) / 2 >= 0 else 'yes'}")
    (folder / "d.csv").write_text("\n".join(decided))
    result = run("verify", "--decisions", "d.csv", "model.onnx", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["decisions"]["path"] == "d.csv"
