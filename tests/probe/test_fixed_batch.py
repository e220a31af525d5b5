"""A target that compiles sizes gets one row at a time, whatever the file leaves open."""

import pytest
from onnx import TensorProto, helper

from edgefair.errors import ModelError
from edgefair.probe.onnx_files.onnx_file import batch_names
from edgefair.targets import TargetProfile, load_profile, open_target
from edgefair.targets.binding import check_binding
from tests.targets.onnx_models import SPEC, batches, classifier, save, value

ONE = TargetProfile(name="one", transport="local", batch=1)


def decided(profile, path):
    with open_target(profile, timeout_s=60) as probe:
        loaded = probe.load(path, name="m")
        check_binding(loaded, SPEC)
        _, parts = batches(30, 20)
        return loaded, [part["decision"].tolist() for part in probe.run(loaded, parts, ["decision"])]


def test_a_dynamic_file_is_run_row_by_row_and_decides_as_ever(tmp_path):
    path = classifier(tmp_path / "m.onnx")
    loaded, decisions = decided(ONE, path)
    assert loaded.inputs[0]["shape"] == [1, 2]
    assert decisions == decided(load_profile("local"), path)[1]


@pytest.mark.parametrize("profile", [ONE, load_profile("local")])
def test_a_file_for_one_row_is_run_row_by_row_on_any_target(tmp_path, profile):
    path = classifier(tmp_path / "one.onnx", rows=1)
    assert decided(profile, path)[1] == decided(ONE, classifier(tmp_path / "m.onnx"))[1]


def test_a_size_without_a_name_cannot_be_fixed_and_the_model_says_so(tmp_path):
    path = classifier(tmp_path / "m.onnx", rows=None)
    with (
        open_target(ONE, timeout_s=60) as probe,
        pytest.raises(ModelError, match="first size of input 'x' has no name"),
    ):
        probe.load(path, name="m")


def test_names_of_first_sizes_are_read_from_the_file_alone(tmp_path):
    shapes = {"a": ["n", 2], "b": [None, 2], "c": [1, 2], "d": ["m"]}
    path = save(
        tmp_path / "m.onnx",
        [helper.make_node("Identity", ["a"], ["y"])],
        [value(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [value("y", TensorProto.FLOAT, ["n", 2])],
    )
    assert batch_names(path.read_bytes()) == {"a": "n", "b": "", "d": "m"}
