"""How many bits a file gets is decided by what is asked for and by the processors that it goes to."""

from dataclasses import replace

import onnx
import pytest

from edgefair.errors import ModelError, UsageError
from edgefair.probe.device import saturates_int8
from edgefair.probe.onnx_files.spec import InputSpec, TokenSpec
from edgefair.targets import load_profile, open_target
from edgefair.workflow.compression.precision import numerics_of
from edgefair.workflow.kept_targets import KeptTargets
from tests.workflow.small_project import dense_of, project

# Nobody answers there: whoever is asked is a lost measurement.
UNREACHABLE = "ssh://nobody@192.0.2.1"


def numerics(folder, **sections):
    config, _ = project(folder, **sections)
    return numerics_of(config, dense_of(folder), KeptTargets(keep=False))


def target(folder, name, **settings):
    path = folder / f"{name}.yaml"
    path.write_text(
        "\n".join([f"name: {name}", "transport: local", *(f"{key}: {value}" for key, value in settings.items())])
    )
    return str(path)


@pytest.mark.parametrize("compress", [{}, {"fp16": True}])
def test_a_file_without_int8_asks_no_device(tmp_path, compress):
    assert not numerics(tmp_path, compress=compress, targets=[UNREACHABLE]).reduce_range


def test_one_target_that_needs_seven_bits_is_enough(tmp_path):
    wide, narrow = (target(tmp_path, f"t{bits}", reduce_range=bits == 7) for bits in (8, 7))
    assert not numerics(tmp_path, compress={"int8": "static"}, targets=[wide]).reduce_range
    assert numerics(tmp_path, compress={"int8": "static"}, targets=[wide, narrow]).reduce_range
    assert numerics(tmp_path, compress={"int8": "dynamic"}, targets=[narrow, wide]).reduce_range


def test_where_the_profile_leaves_it_open_the_processor_says_so(tmp_path):
    with open_target(load_profile("local")) as probe:
        expected = saturates_int8(probe.device)
    assert numerics(tmp_path, compress={"int8": "static"}, targets=["local"]).reduce_range == expected


def test_int8_of_texts_is_dynamic_and_of_everything_else_static(tmp_path):
    config, _ = project(tmp_path, compress={"int8": "auto"}, targets=[target(tmp_path, "t", reduce_range=False)])
    dense = dense_of(tmp_path)
    texts = InputSpec("x", "int64", tokens=TokenSpec("a", "ids", 8, "0" * 64, 100, 0))
    assert numerics_of(config, dense, KeptTargets(keep=False)).kind.__name__ == "StaticInt8"
    of_texts = replace(dense, spec=replace(dense.spec, inputs=(texts,)))
    assert numerics_of(config, of_texts, KeptTargets(keep=False)).kind.__name__ == "DynamicInt8"


@pytest.mark.parametrize(("name", "called"), [("dynamic", "dynamic INT8"), ("a16w8", "16-bit activations")])
def test_tensorrt_gets_no_int8_that_it_lacks(tmp_path, name, called):
    with pytest.raises(UsageError, match=rf"TensorRT.* has no {called}"):
        numerics(tmp_path, compress={"int8": name}, targets=["tensorrt"])


def test_sums_of_16_bit_activations_saturate_nowhere(tmp_path):
    narrow = target(tmp_path, "narrow", reduce_range=True)
    assert not numerics(tmp_path, compress={"int8": "a16w8"}, targets=[narrow]).reduce_range


def test_a_model_in_half_precision_is_no_reference_to_compress(tmp_path):
    config, _ = project(tmp_path, compress={"int8": "static"}, targets=[UNREACHABLE])
    dense = dense_of(tmp_path)
    model = onnx.load(dense.path)
    for tensor in model.graph.initializer:
        tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype("float16"), tensor.name))
    onnx.save(model, dense.path)
    with pytest.raises(ModelError, match=r"'model.onnx' is in half precision"):
        numerics_of(config, dense, KeptTargets(keep=False))
