"""CLI, API and pytest assertion give the same verdict on the same counts: a real model whose decision is a column.

The grid holds the cases that other libraries get wrong: a group without positives, without negatives, without rows.
"""

import json

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet
import pytest
from onnx import TensorProto, helper

import edgefair
from tests.e2e.commands import run

CASES = {
    "fair": ([[4500, 500], [1000, 4000]], [[4500, 500], [1000, 4000]], 0),
    "unfair": ([[4500, 500], [1000, 4000]], [[4500, 500], [2500, 2500]], 1),
    "small": ([[90, 10], [20, 80]], [[90, 10], [20, 80]], 3),
    "no positives in a group": ([[4500, 500], [1000, 4000]], [[4500, 500], [0, 0]], 3),
    "no negatives in a group": ([[4500, 500], [1000, 4000]], [[0, 0], [1000, 4000]], 3),
    "no rows in a group": ([[4500, 500], [1000, 4000]], [[0, 0], [0, 0]], 3),
    "one positive in a group": ([[4500, 500], [1000, 4000]], [[4500, 500], [0, 1]], 3),
    "a group of one row": ([[4500, 500], [1000, 4000]], [[1, 0], [0, 0]], 3),
    "no group has both labels": ([[4500, 500], [0, 0]], [[0, 0], [1000, 4000]], 3),
    "one class for everybody": ([[5000, 0], [5000, 0]], [[5000, 0], [5000, 0]], 1),
    "never the negative class": ([[0, 5000], [0, 5000]], [[0, 5000], [0, 5000]], 1),
    "always right": ([[5000, 0], [0, 5000]], [[5000, 0], [0, 5000]], 0),
    "always wrong": ([[0, 5000], [5000, 0]], [[0, 5000], [5000, 0]], 1),
    "right for one, wrong for the other": ([[5000, 0], [0, 5000]], [[0, 5000], [5000, 0]], 1),
}
CONFIG = """\
project: grid
data:
  source: rows.parquet
  label: y
  positive: "1"
  sensitive: [g]
  equal_rows: people
  features: [d]
  id: row
  split: {column: part, train: [train], audit: [test]}
model:
  output: {kind: label}
policy:
  max_eo_gap: 0.05
  attributes: {g: {groups: [a, b]}}
"""


def project(folder, table):
    (folder / "edgefair.yaml").write_text(CONFIG)
    index = np.array([i for i in np.ndindex(2, 2, 2) for _ in range(table[i])])
    extra = np.array(list(np.ndindex(2, 2, 2)) * 2)
    rows = np.concatenate([index, extra])
    columns = {
        "g": np.array(["a", "b"])[rows[:, 0]],
        "y": np.array(["0", "1"])[rows[:, 1]],
        "d": rows[:, 2].astype(np.float32),
        "row": np.arange(len(rows)),
        "part": np.where(np.arange(len(rows)) < len(index), "test", "train"),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "rows.parquet")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
            helper.make_node("Squeeze", ["whole", "axis"], ["label"]),
        ],
        "column",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    onnx.save_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), folder / "column.onnx"
    )


@pytest.mark.parametrize("name", CASES)
def test_every_interface_gives_the_same_verdict(tmp_path, name):
    one, other, code = CASES[name]
    table = np.array([one, other], dtype=np.int64)
    project(tmp_path, table)
    result = run("verify", tmp_path / "column.onnx", "-c", tmp_path / "edgefair.yaml", "--no-latency", "--json")
    assert result.exit_code == code, result.output
    printed = json.loads(result.stdout)["targets"][0]["verdict"]

    config = edgefair.load_config(tmp_path / "edgefair.yaml")
    report = edgefair.verify(config, tmp_path / "column.onnx", latency=False)
    present = [index for index in range(2) if table[index].any()]
    counts = edgefair.GroupCounts(("g",), tuple(("ab"[i],) for i in present), ("0", "1"), table[present])
    verdict = edgefair.decide(counts, config.policy)
    as_json = json.loads(json.dumps(verdict.to_json()))
    assert as_json == json.loads(json.dumps(report.targets[0].verdict.to_json()))
    assert as_json == printed
    assert report.exit_code == verdict.exit_code == code
    if code == 0:
        assert edgefair.assert_fair(counts, config.policy) == verdict
    else:
        with pytest.raises(AssertionError, match=str(verdict.outcome)):
            edgefair.assert_fair(counts, config.policy)
