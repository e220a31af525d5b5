"""The real probe in a real subprocess with real onnxruntime kernels, and models and inputs that are wrong."""

import io
import os
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.errors import MeasurementError, ModelError, UsageError
from edgefair.probe.clock.footprint import LOADS
from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, Reading
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.probe.system.linux import PROC
from edgefair.targets import TargetProfile, load_profile, open_target
from edgefair.targets.binding import check_binding
from edgefair.targets.costs import footprint, node_times
from edgefair.targets.sending import AHEAD
from edgefair.targets.transports.zipapp import build_zipapp
from tests.targets.onnx_models import SPEC, batches, classifier, save, value
from tests.targets.warm import fork_probes

OUTPUTS = ["decision", "score"]


@pytest.fixture
def probe():
    """A probe that is forked: those that a test opens itself start anew."""
    fork_probes(True)
    with open_target(load_profile("local"), timeout_s=60) as running:
        yield running


def test_decisions_are_the_runtimes_own_in_order(tmp_path):
    x, parts = batches(1000, 64)
    with open_target(load_profile("local"), timeout_s=60) as running:
        loaded = running.load(classifier(tmp_path / "m.onnx"), name="m")
        decision = np.concatenate([item["decision"] for item in running.run(loaded, iter(parts), OUTPUTS)])
    assert np.array_equal(decision, (x @ np.array([[1, -1], [0.5, -0.5]], dtype=np.float32)).argmax(1))


def test_the_device_says_what_it_is_and_which_bytes_it_loaded(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    assert probe.device["onnxruntime"]
    assert probe.device["cores"] >= 1
    assert loaded.bytes == (tmp_path / "m.onnx").stat().st_size
    assert spec_from_json(loaded.metadata["edgefair.spec"]) == SPEC
    assert "CPUExecutionProvider" in loaded.providers
    check_binding(loaded, SPEC)


@pytest.mark.skipif(
    not (PROC / "self/clear_refs").exists(), reason="this system does not tell the peak of a process's memory"
)
def test_a_model_that_is_larger_takes_more_memory_and_longer_to_load(tmp_path):
    found = {}
    for name, width in (("small", 64), ("large", 3000)):
        weight = np.random.default_rng(0).normal(size=(width, width)).astype(np.float32)
        path = save(
            tmp_path / f"{name}.onnx",
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            [value("x", TensorProto.FLOAT, ["n", width])],
            [value("y", TensorProto.FLOAT, ["n", width])],
            [numpy_helper.from_array(weight, "w")],
        )
        with open_target(load_profile("local"), timeout_s=60) as running:
            model = running.load(path, name="m")
            found[name] = footprint(running, model, {"x": np.zeros((1, width), np.float32)}, ["y"])
    small, large = found["small"], found["large"]
    assert large.peak_bytes >= large.load_bytes >= 3000 * 3000 * 4 > small.peak_bytes
    assert large.median_load_ms > small.median_load_ms
    assert len(small.load_ms) == LOADS


def test_the_runtime_tells_the_time_of_every_node(probe, tmp_path):
    model = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    found = node_times(probe, model, {"x": np.zeros((1, 2), np.float32)}, OUTPUTS)
    assert len(found) == 3
    assert all(value >= 0 for value in found.values())


def test_latency_is_measured_interleaved_for_as_long_as_the_rules_say(tmp_path):
    rules = load_profile("local").latency.model_copy(
        update={"min_queries": 200, "min_seconds": 0.0, "min_effective_queries": 0}
    )
    profile = load_profile("local").model_copy(update={"latency": rules})
    with open_target(profile, timeout_s=60) as running:
        for name in ("reference", "candidate"):
            running.load(classifier(tmp_path / "m.onnx"), name=name)
        x, _ = batches(16, 16)
        times = running.latency({"reference": ["decision"], "candidate": ["decision"]}, {"x": x})
    assert {name: len(item) for name, item in times.items()} == {"reference": 200, "candidate": 200}
    assert all((item > 0).all() for item in times.values())


def test_the_cores_that_ran_the_queries_are_recorded_and_the_machine_has_them_back(tmp_path):
    rules = load_profile("local").latency.model_copy(update={"warmup": 0, "min_queries": 5, "min_seconds": 0.0})
    with open_target(load_profile("local").model_copy(update={"latency": rules}), timeout_s=60) as running:
        running.load(classifier(tmp_path / "m.onnx"), name="m")
        allowed = os.sched_getaffinity(running._connection._process.pid)
        running.latency({"m": ["decision"]}, {"x": batches(4, 4)[0]})
        assert len(running.device["pinned"]) == 1
        assert set(running.device["pinned"]) <= allowed
        assert "energy" not in running.device, "nobody asked"
        assert os.sched_getaffinity(running._connection._process.pid) == allowed


def test_two_threads_decide_what_one_does(tmp_path):
    """Their sessions stop spinning between queries, which is a setting of the session."""
    x, parts = batches(200, 64)
    with open_target(load_profile("local").model_copy(update={"threads": 2}), timeout_s=60) as running:
        loaded = running.load(classifier(tmp_path / "m.onnx"), name="m")
        decision = np.concatenate([item["decision"] for item in running.run(loaded, iter(parts), OUTPUTS)])
    assert np.array_equal(decision, (x @ np.array([[1, -1], [0.5, -0.5]], dtype=np.float32)).argmax(1))


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_a_corrupt_empty_or_truncated_model_is_a_model_error(probe, tmp_path, content):
    path = classifier(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    with pytest.raises(ModelError, match=r"m\.onnx' cannot be loaded"):
        probe.load(path, name="m")


def test_a_missing_model_is_a_model_error(probe, tmp_path):
    with pytest.raises(ModelError, match="no model file"):
        probe.load(tmp_path / "absent.onnx", name="m")


def in_two_files(folder, location):
    (folder / "model").mkdir()
    weights = numpy_helper.from_array(np.ones((2, 2), dtype=np.float32), "w")
    (folder / "model" / location).resolve().write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    return save(
        folder / "model" / "m.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value("y", TensorProto.FLOAT, ["n", 2])],
        [weights],
    )


@pytest.mark.parametrize("location", ["../outside.bin", "beside.bin"])
def test_a_model_in_several_files_is_refused(probe, tmp_path, location):
    """Its digest would not cover the weights, and a path could leave the folder."""
    with pytest.raises(ModelError, match=r"keeps its weights in other files \('w' is external data\)"):
        probe.load(in_two_files(tmp_path, location), name="m")


def test_nan_outputs_are_no_measurement(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx", weights=((float("nan"), 0.0), (0.0, 0.0))), name="m")
    _, parts = batches(10, 10)
    with pytest.raises(MeasurementError, match="'score' is NaN or infinite in 10 of 10 rows"):
        list(probe.run(loaded, iter(parts), OUTPUTS))


@pytest.mark.parametrize(
    "batch",
    [
        {"x": np.zeros((3, 5), dtype=np.float32)},
        {"y": np.zeros((3, 2), dtype=np.float32)},
        {"x": np.zeros((3, 2), dtype=np.int64)},
        {"x": np.zeros(3, dtype=np.float32)},
    ],
    ids=["columns", "name", "dtype", "rank"],
)
def test_inputs_that_the_graph_refuses_are_an_error_and_not_a_measurement(probe, tmp_path, batch):
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    with pytest.raises(UsageError, match="refuses its inputs"):
        list(probe.run(loaded, iter([batch]), OUTPUTS))


def test_rows_that_cannot_be_prepared_are_an_error_of_their_request_alone(probe, tmp_path):
    model = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    _, parts = batches(10, 10)
    request = {"do": "run", "name": "m", "outputs": ["decision"], "prepare": [], "one_by_one": False}
    with pytest.raises(MeasurementError, match="data type 'complex1' not understood"):
        probe._connection.ask({**request, "widen": {"x": "complex1"}}, parts[0])
    assert len(list(probe.run(model, iter(parts), ["decision"]))) == 1


def test_an_error_while_encoding_reaches_the_caller_as_it_is(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")

    def broken():
        yield batches(10, 10)[1][0]
        raise ModelError("the encoder says no")

    with pytest.raises(ModelError, match="the encoder says no"):
        list(probe.run(loaded, broken(), OUTPUTS))
    assert len(list(probe.run(loaded, iter(batches(10, 5)[1]), OUTPUTS))) == 2, "the probe is still of use"


def test_a_batch_that_cannot_be_sent_is_an_error_at_once(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    with pytest.raises(ValueError, match="dtype object"):
        list(probe.run(loaded, iter([{"x": np.array([[None, None]])}]), OUTPUTS))


def test_no_batches_give_no_outputs(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    assert list(probe.run(loaded, iter([]), OUTPUTS)) == []


LARGE = 200_000
"""Rows of a batch whose inputs and outputs are larger than any pipe."""


def test_nan_in_a_long_run_is_reported_while_both_pipes_are_full(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx", weights=((float("nan"), 0.0), (0.0, 0.0))), name="m")
    with pytest.raises(MeasurementError, match="'score' is NaN"):
        list(probe.run(loaded, iter(batches(8 * LARGE, LARGE)[1]), OUTPUTS))


def test_a_run_that_is_left_in_the_middle_ends_the_probe_and_says_so(tmp_path):
    with open_target(load_profile("local"), timeout_s=60) as probe:
        loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
        answers = probe.run(loaded, iter(batches(8 * LARGE, LARGE)[1]), OUTPUTS)
        next(answers)
        answers.close()
        with pytest.raises(MeasurementError, match="was aborted"):
            probe.load(tmp_path / "m.onnx", name="again")


def test_leaving_the_probe_while_a_run_is_suspended_does_not_wait_for_it(tmp_path):
    """A traceback can keep the generator of the answers alive while both pipes are full."""
    with open_target(load_profile("local"), timeout_s=60) as probe:
        loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
        answers = probe.run(loaded, iter(batches(8 * LARGE, LARGE)[1]), OUTPUTS)
        next(answers)
    with pytest.raises(MeasurementError):
        list(answers)


def test_memory_on_the_host_is_bounded_by_the_batches_under_way(probe, tmp_path):
    """The encoder is asked for the next batch only when an answer has come back."""
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    made = 0

    def counted():
        nonlocal made
        for part in batches(20, 1)[1]:
            made += 1
            yield part

    for done, _ in enumerate(probe.run(loaded, counted(), OUTPUTS), start=1):
        # Under way, plus the one that is encoded and waits for its place, plus the place just given back.
        assert made <= done + AHEAD + 1


def text_labels(path):
    labels = numpy_helper.from_array(np.array(["no", "yes"], dtype=object), "labels")
    return save(
        path,
        [
            helper.make_node("ArgMax", ["x"], ["i"], axis=1, keepdims=0),
            helper.make_node("Gather", ["labels", "i"], ["y"]),
        ],
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value("y", TensorProto.STRING, ["n"])],
        [labels],
    )


def test_an_output_that_is_absent_or_holds_text_is_a_model_error(probe, tmp_path):
    loaded = probe.load(text_labels(tmp_path / "m.onnx"), name="m")
    with pytest.raises(ModelError, match=r"'y' of .* is tensor\(string\)"):
        list(probe.run(loaded, iter(batches(10, 5)[1]), ["y"]))
    with pytest.raises(ModelError, match=r"has no output 'decision'\nexpected: its outputs: y tensor\(string\)"):
        list(probe.run(loaded, iter(batches(10, 5)[1]), ["decision"]))


def test_a_provider_that_the_runtime_lacks_is_no_measurement_on_another_one(tmp_path):
    profile = TargetProfile(name="t", transport="local", providers=("CUDAExecutionProvider",))
    with open_target(profile, timeout_s=60) as probe, pytest.raises(MeasurementError, match="has no CUDA"):
        probe.load(classifier(tmp_path / "m.onnx"), name="m")


def test_the_zipapp_is_one_file_of_the_probe_alone_and_always_the_same():
    content = build_zipapp()
    assert content == build_zipapp()
    archive = zipfile.ZipFile(io.BytesIO(content))
    names = archive.namelist()
    assert all(name in {"__main__.py", "edgefair/__init__.py"} or name.startswith("edgefair/probe/") for name in names)
    assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}, "zlibs differ in their bytes"


# Binding ------------------------------------------------------------------------------------------------------------


def spec(**changes):
    item = {"name": "x", "dtype": "float32", "columns": (Column("a"), Column("b"))} | changes
    return ModelSpec((InputSpec(**item),), Reading("decision", "label", score="score"), ("no", "yes"))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (spec(name="features"), "has no input 'features'"),
        (spec(dtype="int32"), r"is tensor\(float\)"),
        (spec(columns=(Column("a"),)), r"has shape \[\?, 2\]"),
        (ModelSpec(SPEC.inputs, Reading("label", "label"), SPEC.classes), "has no output 'label'"),
    ],
)
def test_a_graph_that_does_not_fit_the_data_is_refused(probe, tmp_path, wanted, message):
    loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
    with pytest.raises(ModelError, match=message):
        check_binding(loaded, wanted)


def test_a_graph_for_several_rows_at_a_time_is_refused(probe, tmp_path):
    loaded = probe.load(classifier(tmp_path / "m.onnx", rows=7), name="m")
    with pytest.raises(ModelError, match="exactly 7 rows at a time"):
        check_binding(loaded, SPEC)


def test_an_opset_that_the_runtime_does_not_know_is_a_model_error(probe, tmp_path):
    path = classifier(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    model.opset_import[0].version = 999
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="cannot be loaded"):
        probe.load(path, name="m")


def test_an_unknown_target_names_the_known_ones():
    with pytest.raises(UsageError, match="did you mean 'local'"):
        load_profile("locale")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: mine\ntransport: local\nthread: 3\n", r"unknown key 'thread' \(did you mean 'threads'"),
        ("name: mine\ntransport: local\nlatency: {warm: 3}\n", r"unknown key 'latency.warm' \(did you mean 'warmup'"),
        ("name: mine\ntransport: local\nthreads: 0\n", r"threads: .*greater than or equal to 1 \(found 0\)"),
        ("transport: local\n", r"name: Field required"),
        ("name: [", "cannot be read"),
        ("- name", "cannot be used|valid dictionary"),
        ("", "cannot be used|valid dictionary"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_profile_that_cannot_be_used_is_a_usage_error(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=message):
        load_profile(str(tmp_path / "mine.yaml"))


def test_a_missing_profile_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        load_profile(str(tmp_path / "absent.yaml"))
