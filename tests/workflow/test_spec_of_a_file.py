"""What a model file says of itself is read from the file: the machine that judges need not be able to run it."""

import numpy as np
import onnx
import pandas
import pytest
from onnx import TensorProto, helper

from edgefair.config import parse_config
from edgefair.data.dataset import load
from edgefair.errors import ModelError
from edgefair.workflow.models.convert import spec_here

CONFIG = {
    "project": "p",
    "data": {"source": "p.csv", "label": "y", "positive": 1, "sensitive": ["sex"], "split": {"audit_fraction": 1}},
    "policy": {"attributes": {"sex": {"groups": ["F", "M"]}}},
}


def graph(path, *, domain, shape=("n", 2)):
    """A classifier of one operator, which only a device of that vendor has."""
    names = [("x", ["n", 3]), ("scores", shape)]
    made = helper.make_model(
        helper.make_graph(
            [helper.make_node("Decide", ["x"], ["scores"], domain=domain)],
            "g",
            *[[helper.make_tensor_value_info(name, TensorProto.FLOAT, size)] for name, size in names],
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)],
        ir_version=8,
    )
    onnx.save(made, path)
    return path


@pytest.fixture
def project(tmp_path):
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=80).round(3) for name in "abc"}
    columns |= {"sex": rng.choice(["F", "M"], 80), "y": rng.integers(0, 2, 80)}
    pandas.DataFrame(columns).to_csv(tmp_path / "p.csv", index=False)
    config = parse_config(CONFIG, base=tmp_path)
    return config, load(config.data, base=tmp_path, roles=["audit"], optional=["train", "validation"])


def test_a_model_that_only_a_device_can_run_says_what_it_sees(project):
    config, data = project
    spec = spec_here(config, data, graph(config.base / "m.onnx", domain="vendor"))
    assert [column.name for column in spec.inputs[0].columns] == ["a", "b", "c"]


def test_what_the_file_leaves_open_is_asked_of_the_runtime_here(project):
    config, data = project
    with pytest.raises(ModelError, match="cannot be loaded by onnxruntime"):
        spec_here(config, data, graph(config.base / "m.onnx", domain="vendor", shape=None))
    (config.base / "m.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot be loaded"):
        spec_here(config, data, config.base / "m.onnx")
