"""A whole number in a label output is the class that the model means: its value or its position, as somebody said."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from edgefair.cli import main
from edgefair.probe.onnx_files.reading import read_decisions
from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, Reading
from edgefair.probe.onnx_files.spec_check import spec_from_json

CONFIG = """\
project: labels
data:
  source: rows.npz
  label: y
  sensitive: [g]
  features: [d]
  classes: CLASSES
  equal_rows: people
  split: {column: part, train: [train], audit: [test]}
model: OUTPUT
policy:
  max_eo_gap: 0.3
  attributes: {g: {groups: [a, b]}}
"""


def verified(folder, classes, model, *, holds=None, text=False):
    """`verify` of a model whose output holds `holds[k]` for class k, with labels that it always gets right."""
    rows, held = 3000, np.array(classes if holds is None else holds)
    truth = np.random.default_rng(0).integers(0, len(classes), rows)
    arrays = {
        "y": np.array(classes)[truth],
        "d": held[truth].astype(np.float32),
        "g": np.random.default_rng(1).choice(["a", "b"], rows),
        "part": np.where(np.arange(rows) % 2 == 0, "train", "test"),
    }
    np.savez(folder / "rows.npz", **arrays)
    kind = TensorProto.STRING if text else TensorProto.INT64
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["label"], to=kind)],
        "column",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info("label", kind, ["n", 1])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(made, folder / "m.onnx")
    (folder / "edgefair.yaml").write_text(
        CONFIG.replace("CLASSES", json.dumps(classes)).replace("OUTPUT", json.dumps(model))
    )
    given = ["verify", folder / "m.onnx", "--no-latency", "--json", "-c", folder / "edgefair.yaml"]
    result = CliRunner().invoke(main, list(map(str, given)))
    if result.exit_code not in (0, 1, 3):
        return result.exit_code, result.output
    table = np.array(json.loads(result.stdout)["targets"][0]["counts"]["table"]).sum(axis=0)
    return result.exit_code, float(np.trace(table) / table.sum())


def output(**more):
    return {"output": {"kind": "label", **more}}


@pytest.mark.parametrize("classes", [[1, 2, 3], [1, 0], [3, 1, 2], [-1, 1], [True, False]])
@pytest.mark.parametrize("model", [output(), {}])
def test_classes_that_are_other_whole_numbers_are_refused_until_somebody_says_how(tmp_path, classes, model):
    code, said = verified(tmp_path, classes, model)
    assert code == 2
    assert "holds whole numbers, and the classes are whole numbers too" in said
    assert "values: classes" in said
    assert "values: positions" in said
    assert verified(tmp_path, classes, output(values="classes")) == (0, 1.0)
    assert verified(tmp_path, classes, output(values="positions"), holds=[*range(len(classes))]) == (0, 1.0)


@pytest.mark.parametrize("classes", [[0, 1, 2], [False, True], ["no", "yes"]])
def test_what_can_be_read_in_one_way_needs_no_word(tmp_path, classes):
    for model in (output(), {}):
        assert verified(tmp_path, classes, model, holds=[*range(len(classes))]) == (0, 1.0)


def test_the_number_of_each_class_can_be_listed(tmp_path):
    assert verified(tmp_path, ["low", "mid", "top"], output(values=[1, 2, 7]), holds=[1, 2, 7]) == (0, 1.0)
    for wrong in ([1, 2], [1, 1, 2], ["low", 1, 2], "classes"):
        code, said = verified(tmp_path, ["low", "mid", "top"], output(values=wrong), holds=[1, 2, 7])
        assert code == 2
        assert "a different whole number for each class" in said


def test_a_number_of_no_class_is_no_decision(tmp_path):
    code, said = verified(tmp_path, [1, 2, 3], output(values="classes"), holds=[1, 2, 9])
    assert code == 2
    assert "holds the label 9, not one of 1, 2, 3" in said


def test_labels_of_text_are_refused_with_what_to_do(tmp_path):
    code, said = verified(tmp_path, [1, 2, 3], output(), text=True)
    assert code == 2
    assert "model.output.name" in said


def test_values_are_for_labels(tmp_path):
    code, said = verified(tmp_path, [1, 2, 3], {"output": {"kind": "logits", "values": "classes"}})
    assert code == 2
    assert "`values` says what a label output holds" in said


def test_the_spec_carries_the_values_and_says_nothing_of_positions():
    spec = ModelSpec((InputSpec("x", "float32", (Column("a"),)),), Reading("y", "label"), ("1", "2"))
    assert "values" not in spec.to_json()
    said = ModelSpec(spec.inputs, Reading("y", "label", values=("2", "1")), spec.classes)
    assert spec_from_json(said.to_json()) == said
    assert read_decisions({"y": np.array([[1], [2]])}, said.reading, 2)[0].tolist() == [1, 0]
    for values in (("1",), ("1", "1"), ("1", "x")):
        wrong = ModelSpec(spec.inputs, Reading("y", "label", values=values), spec.classes)
        with pytest.raises(ValueError, match="not a different whole number"):
            spec_from_json(wrong.to_json())
