"""Settings that judged a model and settings that run it are the same, or it does not run."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.probe.bundles.runtime import BundleError, load
from edgefair.probe.bundles.settings import Judged, Session, device_class
from edgefair.probe.device import fingerprint
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY
from tests.bundle.small_bundle import RAW, judged, write_bundle
from tests.targets.onnx_models import SPEC, save, value
from tests.targets.people import report as run_for_report
from tests.targets.people import write_project


def underflows_when_optimized(path):
    """score 1 = -(1e20 a) * 1e-30 * 1e-20 * 3e30: Conv and Mul are fused to a weight of 1e-50, which float32 has not.

    Unoptimized every row is decided by `a`; optimized, all alike.
    """
    constants = {
        "first": np.array([0]),
        "large": np.array([-1e20], dtype=np.float32),
        "picture": np.array([-1, 1, 1, 1]),
        "column": np.array([-1, 1]),
        "weight": np.full((1, 1, 1, 1), 1e-30, dtype=np.float32),
        "scale": np.full((1, 1, 1, 1), 1e-20, dtype=np.float32),
        "back": np.array([3e30], dtype=np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["x", "first"], ["a"], axis=1),
        helper.make_node("Mul", ["a", "large"], ["a_large"]),
        helper.make_node("Reshape", ["a_large", "picture"], ["a_picture"]),
        helper.make_node("Conv", ["a_picture", "weight"], ["y"]),
        helper.make_node("Mul", ["y", "scale"], ["y_small"]),
        helper.make_node("Reshape", ["y_small", "column"], ["y_column"]),
        helper.make_node("Mul", ["y_column", "back"], ["z"]),
        helper.make_node("Neg", ["z"], ["minus"]),
        helper.make_node("Concat", ["minus", "z"], ["logits"], axis=1),
        helper.make_node("Softmax", ["logits"], ["score"], axis=1),
        helper.make_node("ArgMax", ["score"], ["decision"], axis=1, keepdims=0),
    ]
    return save(
        path,
        nodes,
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value("decision", TensorProto.INT64, ["n"]), value("score", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
        {SPEC_METADATA_KEY: SPEC.to_json()},
        opset=17,
    )


def test_a_device_runs_a_bundle_under_the_optimization_that_was_judged(tmp_path):
    project = write_project(tmp_path)
    underflows_when_optimized(project / "model.onnx")
    (project / "plain.yaml").write_text("name: plain\ntransport: local\noptimization: disable\n")
    config = (project / "edgefair.yaml").read_text()
    (project / "edgefair.yaml").write_text(config.replace("max_eo_gap: 0.1", "max_eo_gap: 0.3"))
    flags = (project / "model.onnx", "--no-latency", "-o", project / "out")
    assert run_for_report("export", project, *flags)[0] == 1, "optimized it decides alike for all"
    code, report = run_for_report("export", project, *flags, "--target", project / "plain.yaml")
    assert code == 0
    assert report["targets"][0]["device"]["session"]["optimization"] == "disable"
    assert load(project / "out").predict({"a": [2.0, -2.0], "b": [0.0, 0.0]}).decision == ["no", "yes"]


def with_session(folder, *sessions):
    return write_bundle(folder, devices=[judged(**session) for session in sessions])


@pytest.mark.parametrize("optimization", ["disable", "basic", "extended", "all"])
def test_the_loader_opens_the_session_that_was_judged(tmp_path, optimization):
    entries = {"session.set_denormal_as_zero": "1"}
    bundle = with_session(tmp_path / "b", {"optimization": optimization, "config": entries, "threads": 2})
    session = load(bundle)._loaded.session
    options = session.get_session_options()
    expected = {"disable": "DISABLE_ALL", "all": "ENABLE_ALL"}.get(optimization, f"ENABLE_{optimization.upper()}")
    assert options.graph_optimization_level.name == f"ORT_{expected}"
    assert options.get_session_config_entry("session.set_denormal_as_zero") == "1"
    assert options.intra_op_num_threads == 2


def test_threads_choose_among_the_judged_and_no_other_number_is_taken(tmp_path):
    bundle = with_session(tmp_path / "b", {"threads": 2}, {"threads": 4, "optimization": "basic"}, {"threads": 4})
    for asked, threads, level in ((None, 2, "ORT_ENABLE_ALL"), (4, 4, "ORT_ENABLE_BASIC")):
        options = load(bundle, threads=asked)._loaded.session.get_session_options()
        assert (options.intra_op_num_threads, options.graph_optimization_level.name) == (threads, level)
    with pytest.raises(BundleError, match="1 threads were requested, and the model was judged with 2, 4"):
        load(bundle, threads=1)


@pytest.mark.parametrize(
    ("session", "message"),
    [
        ({"providers": ("CUDAExecutionProvider",)}, "CUDAExecutionProvider of a version that its report does not say"),
        ({"runtime": "tensorrt", "providers": ()}, "tensorrt on no provider"),
        ({"config": {"ep.context_file_path": "x"}}, "is not known to be limited to the model file"),
        ({"optimization": "most"}, "optimization 'most', which is none of disable"),
    ],
)
def test_settings_that_a_device_cannot_have_are_refused_by_name(tmp_path, session, message):
    with pytest.raises(BundleError, match=message):
        load(with_session(tmp_path / "b", session))


NPU = {"providers": {"X": {"package": "x 1", "library": "0" * 64}}, "nodes": {"X": 3}}


def on_a_provider(**engine):
    return {**judged(providers=("X", "CPUExecutionProvider")), "engine": {**NPU, **engine}}


def test_devices_of_one_class_have_one_version_of_what_ran_the_model_whatever_the_model_was():
    same = on_a_provider(nodes={"X": 5, "CPUExecutionProvider": 1})
    assert device_class(on_a_provider()) == device_class(same)
    others = [{"X": {"package": "x 2", "library": "0" * 64}}, {"X": {"package": "x 1"}}, {}]
    assert len({device_class(on_a_provider(providers=other)) for other in (*others, NPU["providers"])}) == 4


def test_what_this_device_found_to_run_the_model_must_be_what_was_judged():
    found = Judged(Session.of(on_a_provider()), NPU)
    assert found.unlike(NPU) is None
    newer = {**NPU, "providers": {"X": {"package": "x 2", "library": "0" * 64}}}
    assert found.unlike(newer) == "providers.X.package is x 2 here, and the model was judged with x 1"
    assert found.unlike({}).startswith("providers.X.library is None here")
    assert found.unlike({**NPU, "nodes": {"CPUExecutionProvider": 3}}).startswith("its nodes run on {'CPU")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"X": {"library": "/opt/evil.so"}}, r"X of a library that lay at '/opt/evil.so': name it here, libraries="),
        ({"X": {"package": "antigravity"}}, "package 'antigravity' of X is none of onnxruntime_qnn"),
        ({"X": {"options": {"a": "b"}}}, "no option of X is known to be limited to the model file"),
        ({"Y": {}}, "with wrong types"),
        ({"X": 3}, "has settings that are no object"),
        ([], "with wrong types"),
    ],
)
def test_a_bundle_names_no_library_package_or_option_of_its_own(tmp_path, settings, message):
    device = on_a_provider()
    device["session"]["provider_settings"] = settings
    with pytest.raises(BundleError, match=message):
        load(write_bundle(tmp_path / "b", devices=[device]))


def test_a_provider_that_is_not_here_is_refused_and_the_cpu_does_not_stand_in_for_it(tmp_path):
    with pytest.raises(BundleError, match=r"on the device has no X, only .*CPUExecutionProvider"):
        load(write_bundle(tmp_path / "b", devices=[on_a_provider()]))
    both = write_bundle(tmp_path / "b", devices=[on_a_provider(), judged(threads=2)])
    assert load(both)._loaded.session.get_session_options().intra_op_num_threads == 2, "which was judged too"


def test_a_model_that_was_judged_row_by_row_is_compiled_for_one_row(tmp_path):
    model = load(with_session(tmp_path / "b", {"batch": 1}))
    assert model._loaded.session.get_inputs()[0].shape == [1, 2]
    assert model.predict(RAW).decision == ["no", "yes"]


def test_a_target_that_can_be_had_is_taken_where_another_cannot(tmp_path):
    bundle = with_session(tmp_path / "b", {"runtime": "tensorrt", "providers": ()}, {"threads": 2})
    assert load(bundle).predict(RAW).decision == ["no", "yes"]


SAID = {"runtime": "onnxruntime", "optimization": "all", "providers": [], "config": {}, "threads": 1}


@pytest.mark.parametrize(
    ("session", "message"),
    [
        (None, "exported by an older edgefair: export it again"),
        ([], "exported by an older edgefair"),
        ({}, "without providers or config"),
        ({"providers": [1], "config": {}}, "with wrong types"),
        (
            {"runtime": "onnxruntime", "optimization": "all", "providers": [], "config": {}, "threads": True},
            "wrong types",
        ),
        (
            {"runtime": "onnxruntime", "optimization": "all", "providers": [], "config": {"a": 1}, "threads": 1},
            "wrong types",
        ),
    ],
)
def test_a_report_that_does_not_say_the_settings_is_refused(tmp_path, session, message):
    device = {**judged(), "session": session}
    with pytest.raises(BundleError, match=message):
        load(write_bundle(tmp_path / "b", devices=[device]))


def test_devices_of_one_class_have_equal_settings_but_for_threads_and_the_order_of_entries():
    def of(**settings):
        return device_class(judged(**settings))

    assert of() == of(threads=4)
    a, b = {"session.x64quantprecision": "1"}, {"session.set_denormal_as_zero": "1"}
    assert of(config={**a, **b}) == of(config={**b, **a})
    others = [of(optimization="basic"), of(config=a), of(providers=("X",)), of(runtime="tensorrt"), of(batch=1)]
    assert len({of(), *others, device_class(judged({"machine": "sparc64"}))}) == 7
    assert Session.of(judged(threads=3)).threads == 3
    assert json.loads(json.dumps(judged({**fingerprint()})))["session"]["threads"] == 1
