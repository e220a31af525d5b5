"""What a device decides about a row is about that row: nothing is stretched over others, none sees another."""

import hashlib
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.probe.bundles.runtime import Model, load
from edgefair.probe.features import category_texts
from edgefair.probe.inputs.texts import Cutter
from edgefair.probe.onnx_files.spec import (
    SPEC_METADATA_KEY,
    UNSEEN,
    Column,
    InputSpec,
    ModelSpec,
    PictureSpec,
    Reading,
    encode,
)
from edgefair.probe.runtimes.models import load as load_model
from edgefair.targets import load_profile, open_target
from tests.bundle.small_bundle import report_of, write_manifest
from tests.targets.onnx_models import SPEC, batches, save, value

CPU = {"threads": 1, "providers": ["CPUExecutionProvider"], "optimization": "all", "config": {}}


def of_the_batch(path):
    """score = softmax(x - mean of the batch): alone, every row is on the edge."""
    return save(
        path,
        [
            helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["x", "mean"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["score"], axis=1),
            helper.make_node("ArgMax", ["score"], ["decision"], axis=1, keepdims=0),
        ],
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value("decision", TensorProto.INT64, ["n"]), value("score", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.array([0]), "axes")],
        {SPEC_METADATA_KEY: SPEC.to_json()},
    )


def test_a_device_decides_each_row_as_if_it_came_alone(tmp_path):
    of_the_batch(tmp_path / "model.onnx")
    (tmp_path / "report.json").write_text(json.dumps(report_of(tmp_path / "model.onnx")))
    write_manifest(tmp_path)
    model = load(tmp_path)
    a, b = [3.0, -1.0, 0.5], [-2.0, 4.0, 0.1]
    alone = [model.predict({"a": [one], "b": [other]}) for one, other in zip(a, b, strict=True)]
    together = model.predict({"a": a, "b": b})
    assert together.decision == [found.decision[0] for found in alone] == ["no"] * 3
    assert np.array_equal(together.score, np.concatenate([found.score for found in alone]))


def test_the_host_can_ask_a_device_for_rows_one_by_one(tmp_path):
    path = of_the_batch(tmp_path / "m.onnx")
    _, parts = batches(40, 16)
    with open_target(load_profile("local")) as probe:
        loaded = probe.load(path, name="m")
        whole = np.concatenate([found["decision"] for found in probe.run(loaded, iter(parts), ["decision"])])
        alone = probe.run(loaded, iter(parts), ["decision"], one_by_one=True)
        assert not np.concatenate([found["decision"] for found in alone]).any()
    assert whole.any()


def test_an_output_that_has_no_row_of_its_own_for_each_row_is_no_answer(tmp_path):
    """Two rows for one, and none for the other, would still add up to two."""
    path = save(
        tmp_path / "m.onnx",
        [helper.make_node("NonZero", ["x"], ["positions"]), helper.make_node("Transpose", ["positions"], ["y"])],
        [value("x", TensorProto.FLOAT, ["n"])],
        [value("y", TensorProto.INT64, [None, None])],
    )
    with pytest.raises(Exception, match=r"output 'y' has shape \[0, 1\] for one row"):
        load_model(str(path), CPU).run({"x": np.array([0.0, 1.0], dtype=np.float32)}, ["y"], one_by_one=True)


NUMBERS = InputSpec("n", "float32", (Column("a"), Column("b")))
CODES = InputSpec("c", "int32", (Column("a", ("x", "y")), Column("b", ("1", "2.5", "True"))))


@pytest.mark.parametrize("spec", [NUMBERS, CODES, InputSpec("t", "str", CODES.columns)])
@pytest.mark.parametrize(("a", "b"), [([1], [1, 1]), ([1, 1], [1]), ([1, 1], 1), (1, [1, 1]), ("11", [1, 1])])
def test_no_column_is_stretched_to_the_length_of_another(spec, a, b):
    with pytest.raises(ValueError, match=r"rows, and 'a' has|not a list of one value per row"):
        encode({"a": a, "b": b}, spec)


def test_categories_are_read_as_the_audit_read_them():
    found = encode({"a": ["y", None, "z"], "b": [1, 2.5, True]}, CODES)
    assert found.tolist() == [[1, 0], [UNSEEN, 1], [UNSEEN, 2]]
    assert category_texts("a", np.array(["", "x"])) == [None, "x"]
    assert category_texts("a", [float("nan")]) == [None]
    for wrong in ([["x"]], [b"x"], [{}]):
        with pytest.raises(ValueError, match="not one text or number per row"):
            category_texts("a", wrong)


@pytest.mark.parametrize(
    ("dtype", "values", "message"),
    [
        ("int64", [1.5], "a number that is not a valid int64"),
        ("uint8", [256], "a number that is not a valid uint8"),
        ("uint8", [-1], "a number that is not a valid uint8"),
        ("int32", [float("nan")], "a number that is not a valid int32"),
        ("float32", [1e39], "NaN or an infinite number"),
        ("float16", [1e5], "NaN or an infinite number"),
    ],
)
def test_a_number_that_the_graph_cannot_hold_is_not_bent_to_fit(dtype, values, message):
    with pytest.raises(ValueError, match=message):
        encode({"a": values}, InputSpec("n", dtype, (Column("a"),)))
    with pytest.raises(ValueError, match=message):
        encode({"a": [values]}, InputSpec("n", dtype, array="a"))


def predictor(tmp_path, item):
    """A model that takes one input and is never run."""
    path = of_the_batch(tmp_path / "m.onnx")
    spec = ModelSpec((item,), Reading("decision", "label"), ("no", "yes"))
    return Model(load_model(str(path), CPU), spec, {}, Cutter(spec.inputs, None))


def test_one_picture_or_one_array_is_no_list_of_them(tmp_path):
    picture = InputSpec("x", "uint8", picture=PictureSpec("photo", 2, 2))
    for wrong, message in (
        (7, "'photo' is one int"),
        ("photo.png", "'photo' is one str"),
        (np.zeros((4, 4, 3), dtype=np.uint8), "a picture is uint8"),
        ([], "have no row"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor(tmp_path, picture).predict({"photo": wrong})
    for wrong, message in ((1.0, "'wave' is one float"), ([[1.0], [1.0, 2.0]], "not an array of numbers")):
        with pytest.raises(ValueError, match=message):
            predictor(tmp_path, InputSpec("x", "float32", array="wave")).predict({"wave": wrong})


def test_an_answer_of_nan_is_no_decision(tmp_path):
    nan = of_the_batch(tmp_path / "m.onnx")
    loaded = load_model(str(nan), CPU)
    spec = ModelSpec(SPEC.inputs, Reading("score", "probabilities"), SPEC.classes)
    loaded.run = lambda *_, **__: {"score": np.full((1, 2), np.nan, dtype=np.float32)}
    with pytest.raises(ValueError, match="output 'score' is NaN or infinite: no decision"):
        Model(loaded, spec, {}, Cutter(spec.inputs, None)).predict({"a": [1.0], "b": [1.0]})
    assert hashlib.sha256(nan.read_bytes()).hexdigest() == loaded.sha256
