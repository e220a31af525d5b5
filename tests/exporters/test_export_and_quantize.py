import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import Precision, quantize_static
from edgefair.data.config import DataConfig
from edgefair.data.dataset import load
from edgefair.errors import ModelError
from edgefair.exporters.checked import read_model
from edgefair.exporters.torch_module import export_classifier
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, Column, InputSpec, ModelSpec, Reading
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.training.build import build_classifier
from edgefair.training.features import spec_for
from edgefair.training.settings import ModelConfig

RECIPE = CalibrationRecipe(name="test")


def spec(classes=("no", "yes"), threshold=0.4):
    return ModelSpec(
        inputs=(
            InputSpec("numeric", "float32", (Column("age"), Column("pay"))),
            InputSpec("categorical", "int32", (Column("job", ("a", "b", "c")), Column("town", ("x", "y")))),
        ),
        reading=Reading("decision", "label", threshold, "score"),
        classes=classes,
    )


def sample(rows, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "numeric": rng.normal(size=(rows, 2)).astype(np.float32),
        "categorical": rng.integers(-1, 2, size=(rows, 2), dtype=np.int32),
    }


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    classifier = build_classifier(spec(), ModelConfig(options={"hidden": [16]}), {}, seed=0).eval()
    classifier.preprocess.fit(*(torch.from_numpy(x) for x in sample(100).values()))
    return classifier, export_classifier(classifier, spec(), {}, path), path


def quantized(model, batches, *, reduce_range=False):
    prepared = prepare_graph(model)
    ranges = calibrate(prepared, batches, method="minmax")
    return quantize_static(prepared, ranges, RECIPE, Precision(reduced_nodes=None if reduce_range else frozenset()))


def run(model, inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["decision", "score"], inputs)


@pytest.mark.parametrize("rows", [1, 2, 333])
def test_the_graph_gives_the_networks_scores_and_decides_at_the_threshold(exported, rows):
    classifier, model, _ = exported
    inputs = sample(rows, seed=rows)
    decision, score = run(model, inputs)
    expected = classifier(*(torch.from_numpy(x) for x in inputs.values())).softmax(1).detach().numpy()
    assert np.abs(score - expected).max() < 1e-5
    assert np.array_equal(decision, (score[:, 1] >= 0.4).astype(np.int64))


def test_three_classes_are_decided_by_the_largest_score(tmp_path):
    three = spec(classes=("a", "b", "c"), threshold=None)
    classifier = build_classifier(three, ModelConfig(options={"hidden": [8]}), {}, seed=0).eval()
    decision, score = run(export_classifier(classifier, three, {}, tmp_path / "m.onnx"), sample(50))
    assert np.array_equal(decision, score.argmax(1))


def test_features_with_the_names_of_inputs_and_outputs_keep_them_and_the_others_get_numbers(tmp_path):
    rng, rows = np.random.default_rng(0), 40
    arrays = {name: rng.normal(size=(rows, 2)).astype(np.float32) for name in ("decision", "numeric", "score")}
    y, part = rng.choice(["no", "yes"], rows), np.where(np.arange(rows) % 2, "a", "b")
    np.savez(tmp_path / "all.npz", **arrays, age=np.arange(rows), y=y, part=part, sex=rng.choice(["F", "M"], rows))
    split = {"column": "part", "train": ["a"], "audit": ["b"]}
    config = DataConfig(source="all.npz", label="y", positive="yes", sensitive=["sex"], split=split)
    made = spec_for(load(config, base=tmp_path, roles=("train",)), ModelConfig())
    assert [item.name for item in made.inputs] == ["decision", "numeric", "score", "numeric_0"]
    assert (made.reading.output, made.reading.score) == ("decision_0", "score_0")
    shapes = dict.fromkeys(arrays, (2,))
    classifier = build_classifier(made, ModelConfig(options={"hidden": [4]}), shapes, seed=0).eval()
    model = export_classifier(classifier, made, shapes, tmp_path / "m.onnx")
    feeds = {**arrays, "numeric_0": np.arange(rows, dtype=np.float32)[:, None]}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    score = session.run(["score_0"], {item.name: feeds[item.name] for item in made.inputs})[0]
    expected = classifier(*(torch.from_numpy(feeds[item.name]) for item in made.inputs)).softmax(1).detach().numpy()
    assert np.abs(score - expected).max() < 1e-5


def test_the_file_carries_its_spec_and_needs_no_other_file(exported):
    _, _, path = exported
    metadata = {item.key: item.value for item in read_model(path).metadata_props}
    assert spec_from_json(metadata[SPEC_METADATA_KEY]) == spec()
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_int8_keeps_the_decisions_far_from_the_threshold_and_shrinks_the_weights(exported):
    _, model, _ = exported
    batches = [sample(64, seed=index) for index in range(4)]
    small = quantized(model, batches)
    inputs = sample(500, seed=9)
    decision, score = run(model, inputs)
    decision_small, _ = run(small, inputs)
    clear = np.abs(score[:, 1] - 0.4) > 0.05
    assert clear.sum() > 50
    assert np.array_equal(decision[clear], decision_small[clear])
    weights = [item for item in small.graph.initializer if item.data_type == TensorProto.INT8 and len(item.dims) == 2]
    assert len(weights) == 2
    assert {item.key for item in small.metadata_props} == {SPEC_METADATA_KEY}
    assert {item.domain for item in small.opset_import} == {""}


def test_compressing_twice_gives_the_same_bytes(exported):
    _, model, _ = exported
    one, two = (quantized(model, [sample(64)]) for _ in range(2))
    assert one.SerializeToString() == two.SerializeToString()


def test_reduce_range_keeps_weights_within_seven_bits(exported):
    _, model, _ = exported
    for reduce_range, limit in ((False, 127), (True, 64)):
        small = quantized(model, [sample(64)], reduce_range=reduce_range)
        largest = max(
            int(np.abs(onnx.numpy_helper.to_array(item).astype(int)).max())
            for item in small.graph.initializer
            if item.data_type == TensorProto.INT8 and len(item.dims) == 2
        )
        assert largest <= limit
        assert largest > limit / 2


def test_a_graph_without_anything_to_quantize_is_refused():
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
    )
    with pytest.raises(ModelError, match="nothing to quantize"):
        quantized(helper.make_model(graph), [])


def test_a_network_that_cannot_be_exported_says_so(tmp_path):
    class Branches(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    classifier = build_classifier(spec(), ModelConfig(options={"hidden": [4]}), {}, seed=0).eval()
    classifier.network = Branches()
    with pytest.raises(ModelError, match="cannot be exported"):
        export_classifier(classifier, spec(), {}, tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [b"", b"not onnx at all", None])
def test_a_corrupt_empty_or_truncated_file_is_refused(exported, tmp_path, content):
    _, _, path = exported
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(path.read_bytes()[:-500] if content is None else content)
    with pytest.raises(ModelError, match=r"bad\.onnx|not valid"):
        read_model(bad)


def test_weights_that_are_inputs_too_become_constants(exported, tmp_path):
    _, _, path = exported
    model = onnx.load_model(path)
    inputs = [item.name for item in model.graph.input]
    for item in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(item.name, item.data_type, list(item.dims)))
    onnx.save_model(model, tmp_path / "old.onnx")
    assert [item.name for item in read_model(tmp_path / "old.onnx").graph.input] == inputs


def of_one_name(model):
    for node in model.graph.node[:2]:
        node.name = "a"


def of_ones_own(model):
    model.opset_import.append(helper.make_opsetid("my.domain", 1))
    branch = helper.make_graph(
        [helper.make_node("Mine", [model.graph.output[0].name], ["own"], "mine", domain="my.domain")],
        "branch",
        [],
        [helper.make_tensor_value_info("own", onnx.TensorProto.INT64, None)],
    )
    model.graph.initializer.append(helper.make_tensor("always", onnx.TensorProto.BOOL, [], [True]))
    model.graph.node.append(helper.make_node("If", ["always"], ["z"], "if", then_branch=branch, else_branch=branch))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_one_name, "2 nodes with the name 'a'"),
        (of_ones_own, r"node 'mine' of '.*' is the custom operator my\.domain"),
    ],
)
def test_a_graph_that_onnxruntime_loads_nowhere_is_refused_in_our_words(exported, tmp_path, change, message):
    _, _, path = exported
    model = onnx.load_model(path)
    change(model)
    onnx.save_model(model, tmp_path / "foreign.onnx")
    with pytest.raises(ModelError, match=message):
        read_model(tmp_path / "foreign.onnx")


def test_constants_that_share_a_name_are_read_as_onnxruntime_reads_them(exported, tmp_path):
    _, _, path = exported
    model = onnx.load_model(path)
    taken = next(node.name for node in model.graph.node if node.name)
    for index in range(2):
        value = helper.make_tensor("value", onnx.TensorProto.FLOAT, [], [1.0])
        model.graph.node.insert(0, helper.make_node("Constant", [], [f"constant{index}"], taken, value=value))
    onnx.save_model(model, tmp_path / "foreign.onnx")
    assert onnxruntime.InferenceSession(tmp_path / "foreign.onnx", providers=["CPUExecutionProvider"])
    assert len(read_model(tmp_path / "foreign.onnx").graph.node) == len(model.graph.node)


def test_a_weight_that_nothing_uses_is_no_warning_on_the_console(exported, capfd):
    _, _, path = exported
    model = onnx.load_model(path)
    model.graph.initializer.append(helper.make_tensor("unused", onnx.TensorProto.FLOAT, [1], [1.0]))
    prepare_graph(model)
    assert capfd.readouterr() == ("", "")


def test_the_file_holds_no_path_of_the_machine_that_exported_it(exported):
    _, _, path = exported
    assert b".py" not in path.read_bytes()
