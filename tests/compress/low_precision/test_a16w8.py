"""16-bit activations and 8-bit weights: what is in the file, and how near it is to the FP32 graph."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edgefair.compress.low_precision.base import Look
from edgefair.compress.quantization.static import Precision
from edgefair.graphs.inner_values import inner_values
from tests.compress.graphs import graph, layers, normal, residual, tokens
from tests.compress.low_precision.test_low_precision import ROWS, WORDS, opened

PICTURES = np.random.default_rng(0).normal(size=(32, 3, 8, 8)).astype(np.float32)


def with_opset(model, version):
    """The same graph, for another version of ONNX's operators; these nodes are the same in all of them."""
    next(item for item in model.opset_import if item.domain == "").version = version
    model.ir_version = 10
    return model


def types(model):
    """Of the codes of what layers read, of weights and of biases."""
    constant = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    decoded = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    found = [set(), set(), set()]
    for node in model.graph.node:
        if node.op_type in {"Conv", "Gemm", "MatMul"}:
            for index, name in enumerate(node.input):
                found[index].add(str(constant[decoded[name].input[2]].dtype))
    return found


@pytest.mark.parametrize(("model", "rows"), [(layers(16, 64, 32, 4), ROWS), (residual(), PICTURES)])
def test_layers_read_16_bits_and_have_weights_of_8(model, rows):
    low = opened("a16w8", model, rows)
    assert not low.small
    made = low.convert(Precision())
    assert types(made) == [{"uint16"}, {"int8"}, {"int32"}]
    low.check_made(made)


def test_an_embedding_stays_in_float_and_what_reads_it_is_in_low_precision():
    low = opened("a16w8", tokens(), WORDS)
    made = low.convert(Precision())
    assert types(made)[:2] == [{"uint16"}, {"int8"}]
    assert not any(node.op_type == "Gather" for node in low.prepared.graph.node if node.name in low.nodes)


def test_what_is_lost_is_what_the_weights_lose():
    """With the activations of the FP32 graph, whose weights alone are rounded, the rest is a hundredth as much."""
    model = layers(16, 64, 32, 4)
    static, wide = (opened(name, model, ROWS) for name in ("static", "a16w8"))

    def answers(made):
        return next(inner_values(made, ["y"], [{"x": ROWS}]))["y"]

    weights_only = onnx.ModelProto()
    weights_only.CopyFrom(static.prepared)
    made = wide.convert(Precision())
    constant = {item.name: numpy_helper.to_array(item) for item in made.graph.initializer}
    for item in weights_only.graph.initializer:
        if f"{item.name}/codes" in constant:
            rounded = constant[f"{item.name}/codes"] * constant[f"{item.name}/scale"][:, None]
            item.CopyFrom(numpy_helper.from_array(rounded.astype(np.float32), item.name))
    eight, sixteen, exact = (answers(item) for item in (static.convert(Precision()), made, weights_only))
    assert np.abs(sixteen - exact).mean() < 0.01 * np.abs(eight - exact).mean()


@pytest.mark.parametrize(("opset", "domain"), [(13, "com.microsoft"), (20, "com.microsoft"), (21, "")])
def test_the_quantizers_are_onnxs_own_as_soon_as_they_know_16_bits(opset, domain):
    low = opened("a16w8", with_opset(layers(16, 64, 4), opset), ROWS)
    made = low.convert(Precision())
    assert {node.domain for node in made.graph.node if "Linear" in node.op_type} == {domain}
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = next(inner_values(low.prepared, ["y"], [{"x": ROWS}]))["y"]
    assert np.abs(session.run(["y"], {"x": ROWS})[0] - wanted).max() < 0.02 * np.abs(wanted).max()


@pytest.mark.parametrize("operator", ["Gemm", "MatMul"])
def test_a_cpu_that_is_told_to_computes_what_the_codes_say(operator):
    rng = np.random.default_rng(0)
    node = onnx.helper.make_node(operator, ["x", "w"], ["y"], "layer")
    low = opened("a16w8", graph([node], {"w": normal(rng, 16, 8)}, x=(16,), y=(8,)), ROWS)
    made, found = low.convert(Precision()), {}
    for level in ("4", "1"):
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", level)
        session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found[level] = session.run(["y"], {"x": ROWS})[0]
    wanted = next(inner_values(made, ["y"], [{"x": ROWS}]))["y"]
    np.testing.assert_allclose(found["1"], wanted, atol=1e-5 * np.abs(wanted).max())
    if np.array_equal(found["4"], found["1"]):
        pytest.skip("this onnxruntime computes such a product as it is written on this processor, whatever it is told")
    # Otherwise a product is rounded further, which is why a CPU is no stand-in for an NPU.
    assert np.abs(found["4"] - wanted).max() > 1e-4 * np.abs(wanted).max()


def test_it_is_looked_at_for_what_its_ranges_cut_off_and_has_no_sums_to_saturate():
    low = opened("a16w8", layers(16, 64, 4), ROWS)
    made = low.convert(Precision())
    harm = low.audit(Look(made, made, [{"x": 3 * ROWS}], np.arange(32) % 2, 2, 0, lambda said: None))
    assert not harm.saturation
    assert set(harm.clipping) == {"layer0", "layer1"}
    assert all((share > 0).all() for share in harm.clipping.values())
    assert any("do not saturate" in note for note in harm.notes)
