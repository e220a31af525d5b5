"""One digest, two models: weights, graphs and settings that a session would take from elsewhere than the file."""

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.errors import ModelError, UsageError
from edgefair.probe.bundles.runtime import BundleError, load
from edgefair.probe.errors import ProbeError
from edgefair.probe.formats.onnx import Onnx
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY
from edgefair.probe.runtimes import models
from edgefair.probe.runtimes.onnxruntime import RUNTIME
from edgefair.targets import load_profile, open_target
from tests.bundle.small_bundle import report_of, write_manifest
from tests.targets.onnx_models import SPEC, value
from tests.targets.people import run, write_project

CPU = {"threads": 1, "providers": ["CPUExecutionProvider"], "optimization": "all", "config": {}}
# Small tensors are read into the model at once; this one is mapped from its file.
WEIGHTS = np.zeros((2, 64), dtype=np.float32)
WEIGHTS[0, :2] = -2, 2


def outside(name="w"):
    tensor = numpy_helper.from_array(WEIGHTS, name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in (("location", "weights.bin"), ("offset", "0"), ("length", str(WEIGHTS.nbytes))):
        tensor.external_data.add(key=key, value=text)
    return tensor


PRODUCT = helper.make_node("MatMul", ["x", "w"], ["wide"])
CUT = [
    helper.make_node("Slice", ["wide", "zero", "two", "one"], ["score"]),
    helper.make_node("ArgMax", ["score"], ["decision"], axis=1, keepdims=0),
]
CONSTANTS = [numpy_helper.from_array(np.array([n]), name) for n, name in ((0, "zero"), (2, "two"), (1, "one"))]


def model(nodes, initializers=(), functions=()):
    graph = helper.make_graph(
        [*nodes, *CUT],
        "g",
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value("decision", TensorProto.INT64, ["n"]), value("score", TensorProto.FLOAT, ["n", 2])],
        [*CONSTANTS, *initializers],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))
    made.metadata_props.add(key=SPEC_METADATA_KEY, value=SPEC.to_json())
    return made


def as_initializer():
    return model([PRODUCT], [outside()]).SerializeToString()


def as_constant():
    return model([helper.make_node("Constant", [], ["w"], value=outside()), PRODUCT]).SerializeToString()


def in_a_branch():
    def branch():
        product = helper.make_node("MatMul", ["x", "w"], ["b"])
        return helper.make_graph([product], "b", [], [value("b", TensorProto.FLOAT, ["n", 64])], [outside()])

    choice = helper.make_node("If", ["yes"], ["wide"], then_branch=branch(), else_branch=branch())
    return model([choice], [numpy_helper.from_array(np.array(True), "yes")]).SerializeToString()


def in_a_function():
    constant = helper.make_node("Constant", [], ["w"], value=outside())
    function = helper.make_function("d", "f", ["x"], ["wide"], [constant, PRODUCT], [helper.make_opsetid("", 17)])
    return model([helper.make_node("f", ["x"], ["wide"], domain="d")], functions=[function]).SerializeToString()


def varint(number):
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def field(number, content, *, tag=None):
    return (varint(number << 3 | 2) if tag is None else tag) + varint(len(content)) + content


def hidden_by_a_long_tag():
    """The tags of `external_data` and `data_location` with a 33rd bit, which protobuf in C++ drops."""
    tensor = outside()
    entries = [entry.SerializeToString() for entry in tensor.external_data]
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    hidden = b"".join(field(13, entry, tag=varint(13 << 3 | 2 | 1 << 32)) for entry in entries)
    hidden += varint(14 << 3 | 1 << 32) + b"\1"
    made = model([PRODUCT])
    graph = made.graph.SerializeToString() + field(5, tensor.SerializeToString() + hidden)
    made.ClearField("graph")
    return made.SerializeToString() + field(7, graph)


PLACES = [as_initializer, as_constant, in_a_branch, in_a_function, hidden_by_a_long_tag]


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """A folder to be in, with the weights where onnxruntime looks for them."""
    monkeypatch.chdir(tmp_path)
    WEIGHTS.tofile("weights.bin")
    return tmp_path


@pytest.mark.parametrize("place", PLACES)
def test_weights_beside_the_file_are_refused_by_the_host_the_probe_and_the_loader(beside, place):
    (beside / "m.onnx").write_bytes(place())
    with pytest.raises(ProbeError, match=r"which the digest would not cover|more than 32 bits"):
        models.load("m.onnx", CPU)
    with open_target(load_profile("local")) as probe, pytest.raises(ModelError, match=r"digest would not|more than 32"):
        probe.load(beside / "m.onnx", name="m")
    bundle = beside / "bundle"
    bundle.mkdir()
    (bundle / "model.onnx").write_bytes(place())
    (bundle / "report.json").write_text(json.dumps(report_of(bundle / "model.onnx")))
    write_manifest(bundle)
    with pytest.raises(BundleError, match=r"digest would not cover|more than 32 bits"):
        load(bundle)


@pytest.mark.parametrize("place", PLACES)
def test_the_runtime_itself_refuses_them_where_the_first_check_sees_nothing(beside, monkeypatch, place):
    rows = {"x": np.eye(2, dtype=np.float32)}
    bare = onnxruntime.InferenceSession(place(), providers=CPU["providers"])
    assert bare.run(["decision"], rows)[0].tolist() == [1, 0], "a bare session reads the other file"
    monkeypatch.setattr(Onnx, "check_whole", lambda *_: None)
    with pytest.raises(ProbeError, match="/dev/null"):
        models.open_model(place(), CPU)


def test_verify_refuses_hidden_weights_with_exit_code_2_and_judges_nothing(tmp_path):
    project = write_project(tmp_path)
    (project / "hidden.onnx").write_bytes(hidden_by_a_long_tag())
    WEIGHTS.tofile(project / "weights.bin")
    done = run("verify", project, project / "hidden.onnx", "--no-latency")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "more than 32 bits" in done.stderr


def test_a_flatbuffer_passes_neither_the_check_nor_the_runtime(tmp_path):
    """onnxruntime's own format, which it recognizes by its content, would be a file that nobody has looked into."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.optimized_model_filepath = str(tmp_path / "m.ort")
    settings.add_session_config_entry("session.save_model_format", "ORT")
    whole = model([PRODUCT], [numpy_helper.from_array(WEIGHTS, "w")]).SerializeToString()
    onnxruntime.InferenceSession(whole, settings, providers=CPU["providers"])
    content = (tmp_path / "m.ort").read_bytes()
    onnxruntime.InferenceSession(content, providers=CPU["providers"])
    with pytest.raises(ProbeError, match="damaged"):
        models.open_model(content, CPU)
    with pytest.raises(ProbeError, match="protobuf parsing failed"):
        RUNTIME.open(content, CPU)


@pytest.mark.parametrize("embed", [0, 1])
def test_a_graph_that_an_execution_provider_compiled_is_refused(embed):
    node = helper.make_node(
        "EPContext", ["x"], ["wide"], "c", domain="com.microsoft", embed_mode=embed, ep_cache_context="weights.bin"
    )
    with pytest.raises(ProbeError, match=r"node 'c' is compiled for one execution provider"):
        models.open_model(model([node]).SerializeToString(), CPU)


@pytest.mark.parametrize(
    "entry",
    [
        "session.model_external_initializers_file_folder_path",
        "session.load_model_format",
        "session.optimized_model_filepath",
        "session.moe.offload.source_root",
        "session.node_partition_config_file",
        "session.graph_optimization_level",
        "ep.context_enable",
        "ep.context_file_path",
        "session.unheard_of",
    ],
)
def test_a_profile_cannot_bring_files_into_a_session(tmp_path, entry):
    profile = tmp_path / "mine.yaml"
    profile.write_text(f"name: mine\ntransport: local\nconfig: {{{entry}: x}}\n")
    with pytest.raises(UsageError, match="is not known to be limited to the model file"):
        load_profile(str(profile))
    with pytest.raises(ProbeError, match="is not known to be limited to the model file") as error:
        models.open_model(model([PRODUCT], [numpy_helper.from_array(WEIGHTS, "w")]).SerializeToString(), {
            **CPU, "config": {entry: "x"},
        })  # fmt: skip
    assert error.value.kind == "bad_request"


def test_a_model_cannot_choose_its_own_settings_by_the_environment():
    code = "import os, edgefair.probe; print(os.environ.get('ORT_LOAD_CONFIG_FROM_MODEL'))"
    environment = {**os.environ, "ORT_LOAD_CONFIG_FROM_MODEL": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_a_whole_model_of_the_same_graph_is_loaded():
    whole = model([PRODUCT], [numpy_helper.from_array(WEIGHTS, "w")])
    onnx.checker.check_model(whole)
    loaded = models.open_model(whole.SerializeToString(), CPU)
    assert loaded.run({"x": np.eye(2, dtype=np.float32)}, ["decision"])["decision"].tolist() == [1, 0]
