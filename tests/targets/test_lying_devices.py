"""Devices that lie: what they say is checked against what the host knows, and never becomes a verdict."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.data.files.table import Table
from edgefair.data.rows import TableRows
from edgefair.errors import MeasurementError, ModelError
from edgefair.probe.onnx_files.spec import Reading
from edgefair.progress import silent
from edgefair.targets.runtimes import host_runtime
from edgefair.workflow.measurement import decide_rows as measure_rows
from tests.targets.onnx_models import SPEC, batches, classifier, save, value
from tests.targets.scripted import lying, scripted

# As TensorRT describes an engine.
BUILT = {key: kind(1) for key, kind in host_runtime("tensorrt").engine_facts.items()}


def measure(path, lies=()):
    with lying(path, lies) as probe:
        loaded = probe.load(path, name="m")
        answers = list(probe.run(loaded, iter(batches(20, 10)[1]), ["decision", "score"]))
        return answers, probe.latency({"m": ["decision"]}, {"x": np.zeros((1, 2), dtype=np.float32)})


def test_the_scripted_device_is_believed_as_long_as_it_does_not_lie(tmp_path):
    answers, times = measure(classifier(tmp_path / "m.onnx"))
    assert len(answers) == 2
    assert len(times["m"]) == 100


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (("hello", "protocol", "99"), "protocol 99"),
        (("hello", "device", "None"), "description of itself is invalid"),
        (("hello", "protocol", "PROTOCOL - 1"), "expected: protocol"),
        (("hello", "device", "{}"), "has no onnxruntime"),
        (("hello", "device", "{'onnxruntime': 1}"), "description of itself is invalid: onnxruntime"),
        (("hello", "device", "{'onnxruntime': '1', 'flags': 'avx2'}"), "is invalid: flags"),
        (("hello", "device", "{'onnxruntime': '1', 'cores': True}"), "is invalid: cores"),
        (("hello", "device", "{'onnxruntime': '1', 'machine': ['x']}"), "is invalid: machine"),
        (("load", "sha256", "'0' * 64"), "loaded sha256 0000"),
        (("load", "bytes", "1"), r"\(1 bytes\)"),
        (("load", "outputs", "3"), "description of the model is invalid"),
        (("load", "inputs", "[{}]"), "description of the model is invalid"),
        (("load", "providers", "[]"), "expected: CPUExecutionProvider"),
        (("load", "providers", "['CUDAExecutionProvider', 'CPUExecutionProvider']"), "on CUDAExecutionProvider, CPU"),
        (("load", "engine", "{'sha256': '0'}"), "description of the model is invalid"),
        (("load", "engine", repr(BUILT)), "description of the model is invalid: KeyError\\('providers'\\)"),
        (("load", "engine", "{'providers': {}, 'nodes': {'X': 3}}"), "CPUExecutionProvider took none of the 3 nodes"),
        (("load", "inputs", "[]"), "the model's inputs are none\nexpected: x tensor"),
        (("load", "inputs", "[shaped(file.inputs[0], type='tensor(double)')]"), "inputs are x tensor.double"),
        (("load", "outputs", "[shaped(item) for item in file.outputs[:1]]"), "outputs are decision tensor.int64.\nexp"),
        (("load", "outputs", "[shaped(item, name='d') for item in file.outputs]"), "outputs are d tensor"),
        (("load", "metadata", "{}"), "a different 'edgefair.spec' in the model's metadata"),
        (("load", "metadata", "{**file.metadata, 'more': 'x'}"), "a different 'more' in the model's metadata"),
        (("load", "metadata", "None"), "description of the model is invalid"),
        (("load", "id", "0"), "answered request 0\nexpected: the answer to request 2"),
        (("run", "id", "3"), "answered request 3\nexpected: the answer to request 4"),
        (("run", "decision", "np.zeros(5, dtype=np.int64)"), r"shape \(5,\)\nexpected: 10 rows"),
        (("run", "decision", "np.int64(3)[...]"), r"shape \(\)"),
        (("run", "decision", "np.zeros(10, dtype=np.float32)"), "'decision' is float32\nexpected: int64"),
        (("run", "score", "np.full(10, np.nan, dtype=np.float32)"), "NaN or infinite in 10 of 10 rows"),
        (("run", "score", "np.full(10, np.inf, dtype=np.float32)"), "NaN or infinite in 10 of 10 rows"),
        (("run", "ok", "False"), "answered None"),
        (("run", "inputs", "'0' * 64"), "ran different inputs than it was sent"),
        (("run", "inputs", "None"), "ran different inputs than it was sent"),
        (("latency", "m", "np.zeros(0, dtype=np.int64)"), "not equally many per model"),
        (("latency", "m", "np.array([3, -1])"), "impossible times"),
        (("latency", "m", "np.ones(3)"), "impossible times"),
        (("latency", "energy", "METER | {'mj': {'m': [1.0, 0.0]}}"), "impossible energies"),
        (("latency", "energy", "METER | {'mj': {'m': [float('nan')]}}"), "impossible energies"),
        (("latency", "energy", "METER | {'mj': {'m': []}}"), "impossible energies"),
        (("latency", "energy", "METER | {'mj': {'n': [1.0]}}"), "impossible energies"),
        (("latency", "energy", "METER"), "energy readings are invalid"),
        (("latency", "energy", "METER | {'mj': {'m': [10**400]}}"), "energy readings are invalid"),
    ],
)
def test_a_device_that_lies_is_not_believed(tmp_path, lie, message):
    with pytest.raises(MeasurementError, match=message):
        measure(classifier(tmp_path / "m.onnx"), [lie])


def test_what_the_host_knows_of_a_target_no_device_can_say_otherwise(tmp_path):
    path = classifier(tmp_path / "m.onnx")
    told = {"onnxruntime": "1", "emulated": "no", "threads": 8, "session": {}, "runs_on": "x", "engine": 1, "other": 2}
    with lying(path, [("hello", "device", repr(told))]) as probe:
        assert probe.device == {
            "onnxruntime": "1",
            "threads": 1,
            "runs_on": "CPUExecutionProvider",
            "session": {
                "runtime": "onnxruntime",
                "providers": ["CPUExecutionProvider"],
                "optimization": "all",
                "config": {},
                "threads": 1,
            },
        }


def test_sizes_that_the_file_leaves_open_and_nothing_else_are_the_devices_word(tmp_path):
    path = classifier(tmp_path / "m.onnx", rows=None)
    said = "[shaped(file.inputs[0], shape=[7, 9])]"
    with lying(
        path, [("load", "inputs", said), ("load", "outputs", "[shaped(i, shape=[5]) for i in file.outputs]")]
    ) as probe:
        loaded = probe.load(path, name="m")
    assert [item["shape"] for item in loaded.inputs] == [[7, 2]]
    assert [item["shape"] for item in loaded.outputs] == [[5], [None, 2]]


def test_an_output_that_nobody_asked_for_is_no_answer(tmp_path):
    path = classifier(tmp_path / "m.onnx")
    probe = lying(path, [])
    probe._transport.script = probe._transport.script.replace('if do != "run" or', "if True or")
    with probe, pytest.raises(MeasurementError, match="returned output 'score'"):
        list(probe.run(probe.load(path, name="m"), iter(batches(10, 10)[1]), ["decision"]))


def test_what_a_device_says_of_its_timing_is_kept_and_what_it_cannot_say_is_absent(tmp_path):
    path = classifier(tmp_path / "m.onnx")
    said = [
        ("latency", "pinned", "[3]"),
        ("latency", "before", "{'temperature_c': 41.5, 'note': 'x', 'mhz': 10**400, 'cold': float('nan')}"),
        ("latency", "energy", "METER | {'mj': {'m': [2.0, 9.0, 3.0]}}"),
    ]
    for lies, expected in (
        (said, {
            "pinned": [3],
            "before_timing": {"temperature_c": 41.5},
            "energy": {
                "source": "RAPL", "covers": "it", "mj_per_query": {"m": 3.0},
                "blocks_mj_per_query": {"m": [2.0, 9.0, 3.0]},
            },
        }),
        ([("latency", "pinned", "None"), ("latency", "energy", "None")], {}),
    ):  # fmt: skip
        with lying(path, lies) as probe:
            probe.load(path, name="m")
            before = set(probe.device)
            probe.latency({"m": ["decision"]}, {"x": np.zeros((1, 2), dtype=np.float32)}, energy=True)
            assert {key: probe.device[key] for key in probe.device.keys() - before} == expected


def test_an_output_that_is_missing_is_not_made_up(tmp_path):
    path = classifier(tmp_path / "m.onnx")
    probe = lying(path, [])
    probe._transport.script = probe._transport.script.replace('"score": np.zeros', '"q": np.zeros')
    with probe, pytest.raises(MeasurementError, match="returned no output 'score'"):
        list(probe.run(probe.load(path, name="m"), iter(batches(10, 10)[1]), ["decision", "score"]))


# What only the rows can show: answers that have the right form and belong to other rows -----------------------------

# The real probe, whose models answer what `LIE` makes of the honest answer; `turn` counts the batches.
DISHONEST = """
import itertools
import numpy as np
import edgefair.probe.__main__ as probe
from edgefair.probe.runtimes.models import Loaded
honest, turns, old = Loaded.run, itertools.count(), []
def run(self, inputs, outputs, **how):
    found, turn = honest(self, inputs, outputs, **how), next(turns)
    old.append(found)
    return {name: np.asarray(LIE, dtype=array.dtype) for name, array in found.items()}
Loaded.run = run
probe.main()
"""
SAME_FORM = "np.resize({}, array.shape)"
LABEL_ALONE = replace(SPEC, reading=Reading("decision", "label"))
PROBABILITIES = replace(SPEC, reading=Reading("score", "probabilities"))


def rows(n=300):
    x = np.random.default_rng(5).normal(size=(n, 2))
    return TableRows(Table({"a": x[:, 0], "b": x[:, 1]}), ("a", "b"), np.zeros(n, dtype=np.int64), {}, None, None, ())


def decide(path, lie, spec=SPEC, size=64):
    with pytest.MonkeyPatch.context() as patch, scripted(DISHONEST.replace("LIE", lie)) as probe:
        patch.setattr(measure_rows, "BATCH_ROWS", size)
        loaded = probe.load(path, name="m")
        return measure_rows.decide_rows(probe, loaded, rows(), spec, silent).decisions


@pytest.mark.parametrize(
    ("lie", "spec"),
    [
        (SAME_FORM.format("old[0][name]"), LABEL_ALONE),
        (SAME_FORM.format("old[max(turn - 1, 0)][name]"), LABEL_ALONE),
        (SAME_FORM.format("array[:1]"), LABEL_ALONE),
        ("array[::-1]", LABEL_ALONE),
        ("np.roll(array, 1, axis=0)", SPEC),
        (SAME_FORM.format("old[0][name]"), PROBABILITIES),
    ],
    ids=[
        "the first answer for ever",
        "the answer before",
        "one row for all",
        "backwards",
        "shifted by a row",
        "scores",
    ],
)
def test_answers_that_belong_to_other_rows_are_no_measurement(tmp_path, lie, spec):
    with pytest.raises(MeasurementError, match=r"asked again for 100 rows of .* answered \d+ of them differently"):
        decide(classifier(tmp_path / "m.onnx"), lie, spec)


@pytest.mark.parametrize("size", [64, 4096])
def test_an_honest_device_is_believed_whatever_the_batches(tmp_path, size):
    expected = rows().table.columns
    found = decide(classifier(tmp_path / "m.onnx"), "array", size=size)
    assert np.array_equal(found, (expected["a"] + 0.5 * expected["b"] < 0).astype(int))


@pytest.mark.parametrize("spec", [SPEC, LABEL_ALONE], ids=["score", "label"])
def test_a_constant_model_is_no_lie(tmp_path, spec):
    assert not decide(classifier(tmp_path / "m.onnx", weights=((0.0, 0.0), (0.0, 0.0))), "array", spec).any()


def test_a_score_that_is_rounded_otherwise_is_no_lie(tmp_path):
    rounded = "array + (4e-4 * (turn % 2) if name == 'score' else 0)"
    assert len(decide(classifier(tmp_path / "m.onnx"), rounded)) == 300


def test_a_model_whose_rows_decide_about_each_other_is_to_blame_itself(tmp_path):
    """score = softmax(x - mean of the batch)."""
    path = save(
        tmp_path / "m.onnx",
        [
            helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["x", "mean"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["score"], axis=1),
            helper.make_node("ArgMax", ["score"], ["decision"], axis=1, keepdims=0),
        ],
        [value("x", TensorProto.FLOAT, ["n", 2])],
        [value("decision", TensorProto.INT64, ["n"]), value("score", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.array([0]), "axes")],
    )
    with pytest.raises(ModelError, match="gives a different answer for a row when other rows are in its batch"):
        decide(path, "array")


@pytest.mark.parametrize(
    ("lie", "spec", "message"),
    [
        ("array + 7", LABEL_ALONE, "holds labels 7 to 8, not 0 to 1"),
        ("array - (turn == 3)", LABEL_ALONE, "holds labels -1 to"),
        ("array * 3", PROBABILITIES, "perhaps logits"),
    ],
)
def test_decisions_that_the_model_cannot_make_are_the_devices_fault(tmp_path, lie, spec, message):
    with pytest.raises(MeasurementError, match=message) as error:
        decide(classifier(tmp_path / "m.onnx"), lie, spec)
    assert error.value.expected.startswith("readable outputs, as onnxruntime on this machine gives")


def test_decisions_that_this_machine_reads_no_better_are_the_models_fault(tmp_path):
    with pytest.raises(ModelError, match="is int64, not logits") as error:
        decide(classifier(tmp_path / "m.onnx"), "array", replace(SPEC, reading=Reading("decision", "logits")))
    assert "model.output" in error.value.fix
