"""Drawing the split again until an unfair model passes: every try on the same people is counted."""

import json

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from edgefair.cli import main

ROWS = 6_000
CONFIG = """\
project: people
data:
  source: people.parquet
  label: label
  positive: "yes"
  sensitive: [sex]
  id: id
  features: [a, b]
policy:
  max_eo_gap: 0.05
  attributes:
    sex: {groups: [f, m]}
"""


@pytest.fixture
def project(tmp_path):
    """A model that finds more men than women who deserve nothing: its gap is beyond the threshold."""
    rng = np.random.default_rng(11)
    sex, label = rng.choice(["f", "m"], ROWS), rng.choice(["no", "yes"], ROWS)
    a = np.where(label == "yes", 1.0, -1.0) + rng.normal(0, 0.75, ROWS)
    a = np.where((sex == "m") & (label == "no") & (rng.random(ROWS) < 0.058), 1.5, a)
    columns = {"a": a, "b": rng.normal(size=ROWS), "sex": sex, "label": label, "id": np.arange(ROWS).astype(str)}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "people.parquet")
    weights = numpy_helper.from_array(np.array([[-2, 2], [0, 0]], np.float32), "W")
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 2]) for name in ("features", "logits")]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "W"], ["logits"])], "m", shapes[:1], shapes[1:], [weights]
    )
    onnx.save_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx"
    )
    (tmp_path / "edgefair.yaml").write_text(CONFIG)
    return tmp_path


def verdict(project, *settings):
    flags = [item for setting in settings for item in ("--set", setting)]
    command = ["verify", project / "m.onnx", "-c", project / "edgefair.yaml", "--no-latency", "--json", *flags]
    result = CliRunner().invoke(main, [str(item) for item in command], catch_exceptions=False)
    assert result.exit_code in {0, 1, 3}, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_a_split_that_is_drawn_again_is_counted_with_those_before(project, share):
    seen = set()
    for tries in range(1, 7):
        report = verdict(project, f"data.split.seed={tries}", f"data.split.audit_fraction={share}")
        seen.add(report["audit"]["fingerprint"])
        assert report["ledger"] == {"verdicts": tries, "models": 1}
    assert len(seen) == 6, "to the digest these are six audit sets"


def test_an_audit_set_that_was_cut_is_counted_with_the_whole_one(project):
    assert verdict(project)["ledger"]["verdicts"] == 1
    table = pyarrow.parquet.read_table(project / "people.parquet")
    pyarrow.parquet.write_table(table.slice(0, ROWS - 5), project / "people.parquet")
    assert verdict(project)["ledger"]["verdicts"] == 2
    record = project / "raw.npz"
    command = ["verify", project / "m.onnx", "-c", project / "edgefair.yaml", "--no-latency", "--record", record]
    CliRunner().invoke(main, [str(item) for item in command], catch_exceptions=False)
    again = ["verify", "--from-record", record, "-c", project / "edgefair.yaml", "--json"]
    found = CliRunner().invoke(main, [str(item) for item in again], catch_exceptions=False)
    assert json.loads(found.stdout)["ledger"]["verdicts"] == 4, "a record knows its rows too"


def test_other_people_are_a_fresh_audit_set(project):
    assert verdict(project)["ledger"]["verdicts"] == 1
    table = pyarrow.parquet.read_table(project / "people.parquet")
    others = table.set_column(4, "id", pyarrow.array([f"other {row}" for row in range(ROWS)]))
    pyarrow.parquet.write_table(others, project / "people.parquet")
    assert verdict(project)["ledger"]["verdicts"] == 1
