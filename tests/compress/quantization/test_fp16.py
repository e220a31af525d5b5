"""FP16 inside, FP32 around: the graphs that edgefair exports, and graphs that half precision would break."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgefair.compress.quantization.fp16 import to_float16
from edgefair.errors import ModelError
from edgefair.exporters.torch_module import export_classifier
from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, PictureSpec, Reading, TokenSpec
from edgefair.training.build import build_classifier
from edgefair.training.settings import ModelConfig, PictureConfig

SIDE, ROWS = 32, 64
# Eleven bits of a number, through twenty convolutions.
TOLERANCE = 0.02
OPTIONS = {
    "mlp": {"hidden": [64, 32]},
    "resnet-18": {"width": 0.125},
    "vit-small": {"width": 32, "depth": 2, "heads": 2},
    "text-transformer": {"width": 32, "depth": 1, "heads": 2},
}


def inputs_of(network):
    """The spec's inputs, and rows for them; the last row of the texts is padding alone."""
    rng = np.random.default_rng(0)
    if network == "mlp":
        items = (
            InputSpec("numeric", "float32", (Column("gain"), Column("age"))),
            InputSpec("categorical", "int32", (Column("job", ("a", "b", "c")),)),
        )
        gain = np.where(rng.random(ROWS) < 0.1, 99_999.0, rng.normal(120_000, 3_000, ROWS))
        numeric = np.stack([gain, rng.normal(40, 10, ROWS)], axis=1).astype(np.float32)
        return items, {"numeric": numeric, "categorical": rng.integers(-1, 3, (ROWS, 1), dtype=np.int32)}
    if network == "text-transformer":
        ids = rng.integers(1, 50, (ROWS, 12), dtype=np.int32)
        ids[1::2, 5:] = 0
        ids[-1] = 0
        return (InputSpec("ids", "int32", tokens=TokenSpec("text", "ids", 12, "x", 50, 0)),), {"ids": ids}
    picture = rng.integers(0, 256, (ROWS, SIDE, SIDE, 3), dtype=np.uint8)
    return (InputSpec("picture", "uint8", picture=PictureSpec("p", SIDE, SIDE)),), {"picture": picture}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    made = {}

    def export(network):
        if network not in made:
            items, rows = inputs_of(network)
            spec = ModelSpec(items, Reading("decision", "label", 0.5, "score"), ("no", "yes"))
            picture = PictureConfig(height=SIDE, width=SIDE)
            model = ModelConfig(network=network, options=OPTIONS[network], picture=picture)
            classifier = build_classifier(spec, model, {}, seed=0).eval()
            tensors = [torch.from_numpy(x) for x in rows.values()]
            classifier.preprocess.fit(*tensors)
            spread(classifier, tensors)
            path = tmp_path_factory.mktemp("half") / "m.onnx"
            made[network] = export_classifier(classifier, spec, {}, path), rows
        return made[network]

    return export


def spread(classifier, tensors):
    """Let a random network decide for either class: batch statistics of these rows, and logits of their own scale."""
    for layer in classifier.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
            layer.train()
    last = [item for item in classifier.modules() if isinstance(item, torch.nn.Linear)][-1]
    with torch.no_grad():
        for _ in range(2):
            logits = classifier(*tensors)
            gap = logits[:, 1] - logits[:, 0]
            last.weight /= gap.std()
            last.bias[1] -= gap.mean()
            classifier.eval()


def run(model, rows):
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    names = [item.name for item in model.graph.output]
    return dict(zip(names, session.run(names, rows), strict=True))


def types(items):
    return [(item.name, item.type.tensor_type.elem_type) for item in items]


@pytest.mark.parametrize("network", sorted(OPTIONS))
def test_the_decisions_stay_and_the_file_halves(exported, network):
    model, rows = exported(network)
    half = to_float16(model)
    before, after = run(model, rows), run(half, rows)
    assert np.abs(before["score"] - after["score"]).max() < TOLERANCE
    clear = np.abs(before["score"][:, 1] - 0.5) > TOLERANCE
    assert clear.sum() > ROWS / 4
    assert np.array_equal(before["decision"][clear], after["decision"][clear])
    weights = sum(numpy_helper.to_array(item).nbytes for item in model.graph.initializer)
    assert half.ByteSize() < model.ByteSize() - 0.45 * weights


@pytest.mark.parametrize("network", sorted(OPTIONS))
def test_inputs_outputs_and_metadata_are_unchanged(exported, network):
    model, _ = exported(network)
    half = to_float16(model)
    assert types(half.graph.input) == types(model.graph.input)
    assert types(half.graph.output) == types(model.graph.output)
    assert half.metadata_props == model.metadata_props
    assert half.opset_import == model.opset_import


def test_every_product_is_half_and_the_model_that_came_in_is_untouched(exported):
    model, _ = exported("resnet-18")
    before = model.SerializeToString()
    half = to_float16(model)
    assert model.SerializeToString() == before
    inferred = onnx.shape_inference.infer_shapes(half).graph
    kinds = {item.name: item.type.tensor_type.elem_type for item in inferred.value_info}
    products = [node for node in half.graph.node if node.op_type in {"Conv", "Gemm"}]
    assert len(products) == 21
    assert {kinds[node.output[0]] for node in products} == {TensorProto.FLOAT16}
    kept = [item.name for item in half.graph.initializer if item.data_type == TensorProto.FLOAT and item.dims]
    assert kept == ["classifier.preprocess.parts.0.mean"]


def test_converting_twice_gives_the_same_bytes(exported):
    model, _ = exported("vit-small")
    assert to_float16(model).SerializeToString() == to_float16(model).SerializeToString()


def test_a_mask_beyond_half_stays_float_up_to_its_softmax(exported):
    """A text of padding alone would be NaN: half turns the mask's -3.4e38 into minus infinity."""
    model, rows = exported("text-transformer")
    assert any(np.abs(numpy_helper.to_array(item)).max(initial=0) > 1e38 for item in model.graph.initializer)
    half = to_float16(model)
    assert np.isfinite(run(half, rows)["score"]).all()
    (softmax,) = [node for node in half.graph.node if node.op_type == "Softmax" and node.output[0] != "score"]
    (after,) = [node for node in half.graph.node if softmax.output[0] in node.input]
    assert after.op_type == "Cast"


def test_the_softmax_and_the_decision_are_computed_in_float(exported):
    model, _ = exported("mlp")
    half = to_float16(model)
    made_by = {name: node for node in half.graph.node for name in node.output}
    softmax = made_by["score"]
    cast = made_by[softmax.input[0]]
    assert (softmax.op_type, cast.op_type, cast.attribute[0].i) == ("Softmax", "Cast", TensorProto.FLOAT)
    assert made_by[cast.input[0]].op_type == "Gemm"


def test_named_nodes_stay_float(exported):
    model, rows = exported("resnet-18")
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    half = to_float16(model, float_nodes=frozenset(convolutions[3:5]))
    kinds = {item.name: item.data_type for item in half.graph.initializer}
    kept = [node.name for node in half.graph.node if node.op_type == "Conv" and kinds[node.input[1]] == 1]
    assert kept == convolutions[3:5]
    assert np.abs(run(half, rows)["score"] - run(model, rows)["score"]).max() < TOLERANCE
    with pytest.raises(ModelError, match="no node 'absent'"):
        to_float16(model, float_nodes=frozenset({"absent"}))


def graph(nodes, initializers=(), outputs=("y",), kind=TensorProto.FLOAT):
    values = [helper.make_tensor_value_info(name, kind, ["n", 2]) for name in ("x", *outputs)]
    weights = [numpy_helper.from_array(value, name) for name, value in dict(initializers).items()]
    made = helper.make_graph(nodes, "g", values[:1], values[1:], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


W = np.array([[0.5, -1.0], [0.25, 2.0]], dtype=np.float32)
MATMUL = helper.make_node("MatMul", ["x", "w"], ["h"], "first")
X = {"x": np.array([[1.0, 2.0], [-3.0, 0.5]], dtype=np.float32)}


def test_a_value_that_is_output_and_goes_on_is_right_in_both_places():
    again = helper.make_node("MatMul", ["h", "w"], ["y"], "second")
    model = graph([MATMUL, again], {"w": W}, outputs=("h", "y"))
    expected, found = run(model, X), run(to_float16(model), X)
    assert {name: value.dtype.name for name, value in found.items()} == {"h": "float32", "y": "float32"}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-3)


def test_a_weight_that_half_and_float_use_is_there_in_both():
    nodes = [MATMUL, helper.make_node("MatMul", ["h", "w"], ["y"], "second")]
    half = to_float16(graph(nodes, {"w": W}), float_nodes=frozenset({"second"}))
    assert sorted(item.data_type for item in half.graph.initializer) == [TensorProto.FLOAT, TensorProto.FLOAT16]
    np.testing.assert_allclose(run(half, X)["y"], X["x"] @ W @ W, rtol=2e-3)


def test_a_weight_with_a_second_name_is_stored_once():
    nodes = [
        MATMUL,
        helper.make_node("Identity", ["w"], ["again"], "alias"),
        helper.make_node("MatMul", ["h", "again"], ["y"], "second"),
    ]
    half = to_float16(graph(nodes, {"w": W}))
    assert [item.data_type for item in half.graph.initializer] == [TensorProto.FLOAT16]
    assert [node.op_type for node in half.graph.node] == ["Cast", "MatMul", "MatMul", "Cast"]
    np.testing.assert_allclose(run(half, X)["y"], X["x"] @ W @ W, rtol=2e-3)


@pytest.mark.parametrize("number", [1e6, 1e-9])
def test_constants_that_half_cannot_hold_stay_float_as_nodes_and_as_initializers(number):
    value = helper.make_tensor("value", TensorProto.FLOAT, [], [number])
    nodes = [
        MATMUL,
        helper.make_node("Constant", [], ["c"], "constant", value=value),
        helper.make_node("Mul", ["h", "c"], ["m"], "scale"),
        helper.make_node("Tanh", ["m"], ["t"], "bound"),
        helper.make_node("MatMul", ["t", "w"], ["y"], "second"),
    ]
    model = graph(nodes, {"w": W})
    half = to_float16(model)
    assert [item.data_type for item in half.graph.initializer if item.name == "c"] == [TensorProto.FLOAT]
    np.testing.assert_allclose(run(half, X)["y"], run(model, X)["y"], rtol=2e-3)


def test_quantized_and_half_models_are_refused(exported):
    pair = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "s"], ["d"], "dequantize"),
        helper.make_node("MatMul", ["d", "w"], ["y"], "product"),
    ]
    with pytest.raises(ModelError, match=r"already quantized \(QuantizeLinear 'quantize'\)"):
        to_float16(graph(pair, {"w": W, "s": np.array(0.1, dtype=np.float32)}))
    with pytest.raises(ModelError, match="already in half precision"):
        to_float16(to_float16(exported("mlp")[0]))


def test_graphs_without_products_and_with_control_flow_are_refused():
    with pytest.raises(ModelError, match="nothing to compute in FP16"):
        to_float16(graph([helper.make_node("Relu", ["x"], ["y"])]))
    with pytest.raises(ModelError, match="nothing to compute in FP16"):
        to_float16(graph([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": W.astype("f8")}, kind=11))
    body = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])], "b", [], [helper.make_tensor_value_info("z", 1, ["n", 2])]
    )
    branch = helper.make_node("If", ["c"], ["y"], "branch", then_branch=body, else_branch=body)
    with pytest.raises(ModelError, match=r"control flow \(If 'branch'\)"):
        to_float16(graph([MATMUL, branch], {"w": W, "c": np.array(True)}))
