"""A project whose names are what a user, a file or a device may make them, and what its output must not do."""

import csv
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import yaml
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper, save_model

from edgefair.cli import main
from edgefair.joint import join

ROWS = 6000
ROWS_IN_A_PAGE = ("--format", "html=rows.html", "--show-rows", "2")
PLAN = ("plan", "--simulations", "50")
TAME = {"groups": ("f", "m"), "attribute": "sex", "classes": ("no", "yes"), "feature": "a"}


def make_project(folder: Path, *, groups, attribute, classes, feature, source="people.parquet", model="m.onnx"):
    """A table of two groups that a linear model treats alike, the model, one like it, and a policy."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    group, label = rng.integers(0, 2, ROWS), rng.integers(0, 2, ROWS)
    columns = {
        "id": [f"r{index}" for index in range(ROWS)],
        feature: ((label * 2 - 1) + rng.normal(0, 0.75, ROWS)).astype(np.float32),
        "b": rng.normal(size=ROWS).astype(np.float32),
        attribute: [groups[index] for index in group],
        "label": [classes[index] for index in label],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / source)
    linear(folder / model, 0.0)
    linear(folder / "other.onnx", 0.4)
    data = {"source": source, "label": "label", "positive": classes[1], "sensitive": [attribute], "id": "id"}
    config = {
        "project": "people",
        "data": data | {"features": [feature, "b"]},
        "model": {"options": {"hidden": [16]}},
        "train": {"epochs": 4, "batch_rows": 128, "learning_rate": 0.02},
        "policy": {"max_eo_gap": 0.1, "attributes": {join([attribute]): {"groups": list(groups)}}},
    }
    (folder / "edgefair.yaml").write_text(yaml.safe_dump(config))
    return folder


def linear(path: Path, bias: float) -> None:
    weights = np.array([[-2.0, 2.0], [0.0, 0.0]], np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["features", "W", "B"], ["logits"], name="g")],
        "m",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(weights, "W"), numpy_helper.from_array(np.array([-bias, bias], np.float32), "B")],
    )
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def run(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments], catch_exceptions=False)


def commands(model="m.onnx", bundle="dist/people"):
    """Commands of a project's life that print its names, quick ones; the plan names the cells that lack rows."""
    return (
        ("verify", model, "--no-latency", "--report", "report.json"),
        ("export", model, "--no-latency", "--int8", "--no-repair", "-o", bundle),
        ("inspect", bundle),
        ("compare", model, "other.onnx", "--exemplars", "changed.csv", *ROWS_IN_A_PAGE),
        ("data", "describe"),
        (*PLAN, "--max-eo-gap", "0.0001"),
        ("verify", model, "--no-latency", "--max-eo-gap", "0.0001"),
        ("verify", model, "--no-latency", "--min-balanced-accuracy", "0.99"),
        ("verify", model, "--no-latency", "--set", "policy.min_cell_rows=100000", "--json"),
    )


def assert_obeys_nobody(result) -> None:
    """Nothing but printable letters in lines, and no line that passes for a verdict but the first."""
    for text in (result.stdout, result.stderr):
        bad = [line for line in text.split("\n") if not line.isprintable()]
        assert not bad, bad
    lines = [*result.stdout.split("\n")[1:], *result.stderr.split("\n")]
    assert not [line for line in lines if line.startswith("PASS may ship")], result.output


def exemplars(folder: Path):
    with (folder / "changed.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))
