"""Which columns are categories is known from the model, before any row is read."""

from dataclasses import replace

import onnx
from onnx import TensorProto, helper

from edgefair.probe.onnx_files.spec import Column
from edgefair.workflow.models.vocabulary import categories_in, categories_of
from tests.targets.onnx_models import SPEC, classifier

WITH_WORDS = replace(
    SPEC,
    inputs=(*SPEC.inputs, replace(SPEC.inputs[0], name="codes", dtype="int32", columns=(Column("job", ("1", "2")),))),
)


def test_columns_with_a_vocabulary_are_categories():
    assert categories_of(SPEC) == frozenset()
    assert categories_of(WITH_WORDS) == {"job"}


def test_a_file_is_read_by_its_spec(tmp_path):
    assert categories_in(classifier(tmp_path / "m.onnx", spec=WITH_WORDS)) == {"job"}
    assert categories_in(classifier(tmp_path / "n.onnx")) == frozenset()


def test_a_file_without_a_spec_is_read_by_the_inputs_that_take_text(tmp_path):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["age"], ["y"])],
        "g",
        [info("age", TensorProto.FLOAT, ["n", 1]), info("job", TensorProto.STRING, ["n", 1])],
        [info("y", TensorProto.FLOAT, ["n", 1])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "m.onnx")
    assert categories_in(tmp_path / "m.onnx") == {"job"}


def test_what_cannot_be_read_has_no_categories_and_no_error_of_its_own(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"no model")
    assert categories_in(tmp_path / "m.onnx") == frozenset()
    assert categories_in(tmp_path / "absent.onnx") == frozenset()
