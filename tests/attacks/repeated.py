"""A small table, a model of it, and how to judge it."""

import json

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from edgefair.cli import main
from edgefair.exporters.checked import set_spec
from edgefair.probe.spec import Column, InputSpec, ModelSpec, Reading

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


def write_model(path):
    """Decides by the sign of `a`; says itself that it sees `a` and `b`."""
    weight = np.array([[-2.0, 2.0], [0.0, 0.0]], np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "w"], ["logits"], name="m")],
        "m",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    inputs = (InputSpec("features", "float32", (Column("a"), Column("b"))),)
    set_spec(model, ModelSpec(inputs, Reading("logits", "logits"), ("no", "yes")))
    onnx.save_model(model, path)


def judge(folder, columns, *flags, config=CONFIG):
    """Exit status of `edgefair verify`, and its report or what it said."""
    columns = {name: pyarrow.array(np.asarray(column).tolist()) for name, column in columns.items()}
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "people.parquet")
    write_model(folder / "m.onnx")
    (folder / "edgefair.yaml").write_text(config)
    arguments = ["verify", str(folder / "m.onnx"), "-c", str(folder / "edgefair.yaml"), "--no-latency", "--json"]
    result = CliRunner().invoke(main, [*arguments, *flags], catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout) if result.stdout else result.stderr
