"""A small project, models made by hand for it, and the commands that judge them."""

import json

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from edgefair.cli import main
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, Column, InputSpec, ModelSpec, Reading

CONFIG = """\
project: people
data:
  source: people.parquet
  label: label
  positive: "yes"
  sensitive: [sex]
  id: id
  features: [a, b, c]
policy:
  max_eo_gap: 0.1
  attributes:
    sex: {groups: [f, m]}
"""
FEATURES = (Column("a"), Column("b"), Column("c"))


def people(rows=9000, seed=0):
    """Rows of which `a` tells the label, alike for both groups, and `b` tells the group."""
    rng = np.random.default_rng(seed)
    label, sex = rng.integers(0, 2, rows), rng.integers(0, 2, rows)
    return {
        "id": np.array([f"r{row}" for row in range(rows)]),
        "a": (2 * label - 1 + rng.normal(0, 0.75, rows)).astype(np.float32),
        "b": (2 * sex - 1 + rng.normal(0, 0.3, rows)).astype(np.float32),
        "c": rng.normal(0, 1, rows).astype(np.float32),
        "sex": np.array(["f", "m"])[sex],
        "label": np.array(["no", "yes"])[label],
    }


def write_project(folder, config=CONFIG, rows=None):
    """Config and rows in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = people() if rows is None else rows
    pyarrow.parquet.write_table(pyarrow.table(rows), folder / "people.parquet")
    (folder / "edgefair.yaml").write_text(config)
    return folder


def spec(classes=("no", "yes"), columns=3, **reading):
    """How a graph `features` -> `logits` is fed and read."""
    read = Reading("logits", "logits", **reading)
    return ModelSpec((InputSpec("features", "float32", columns=FEATURES[:columns]),), read, classes)


def save(path, nodes, constants, said=None, columns=3):
    """A graph from `features` [rows, columns] to `logits` [rows, 2], with a spec in its metadata if one is given."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", columns])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if said is not None:
        model.metadata_props.add(key=SPEC_METADATA_KEY, value=said.to_json())
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, path)
    return path


def linear(path, weights=(2.0, 0.0, 0.0), said=None):
    """logits = (-w x, w x): decides by `a` unless other weights are given."""
    both = np.array([[-weight, weight] for weight in weights], dtype=np.float32)
    product = helper.make_node("MatMul", ["features", "w"], ["logits"])
    return save(path, [product], {"w": both}, said, columns=len(weights))


def run(command, project, *arguments):
    """A command on the project: its exit code and what it printed."""
    every = [command, "-c", project / "edgefair.yaml", *arguments]
    return CliRunner().invoke(main, [str(item) for item in every], catch_exceptions=False)


def report(command, project, *arguments):
    """Exit code and report of a command that judges."""
    done = run(command, project, *arguments, "--json")
    assert done.stdout, done.stderr
    return done.exit_code, json.loads(done.stdout)


def gate(judged, name):
    """A gate of the first target's verdict."""
    (found,) = (item for item in judged["targets"][0]["verdict"]["gates"] if item["name"] == name)
    return found
