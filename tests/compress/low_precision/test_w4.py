"""4-bit weights: packed, as near as 16 values a block come, and a file that is really smaller."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgefair.compress.low_precision import LOW_PRECISIONS
from edgefair.compress.low_precision.packing import BLOCK, pack, unpack
from edgefair.compress.quantization.static import Precision
from edgefair.errors import ModelError
from edgefair.graphs.inner_values import inner_values
from edgefair.graphs.quantized import is_quantized
from edgefair.graphs.unsupported import unsupported
from edgefair.targets import support
from tests.compress.graphs import graph, layers, normal, residual, tokens
from tests.compress.low_precision.test_low_precision import ROWS, WORDS, opened


@pytest.mark.parametrize("inputs", [32, 40, 7])
def test_a_packed_weight_is_the_weight_to_half_a_step_of_its_block(inputs):
    weight = np.random.default_rng(0).normal(size=(inputs, 9)).astype(np.float32)
    weight[:, 3] = 0
    codes, scale = pack(weight)
    assert codes.shape == (9, -(-inputs // BLOCK), BLOCK // 2)
    found = unpack(codes, scale, inputs)
    assert not found[:, 3].any()
    step = np.repeat(np.abs(scale), BLOCK, axis=1)[:, :inputs].T
    # The farthest number has a code; what is as far on the other side lacks one, and is a step away at most.
    assert (np.abs(found - weight) <= np.where(np.abs(weight) > 7.5 * step, 1.0, 0.501) * step).all()


@pytest.mark.parametrize("transposed", [0, 1])
def test_onnxruntime_computes_what_the_codes_say(transposed):
    rng = np.random.default_rng(0)
    weight, bias = normal(rng, 16, 8), normal(rng, 8)
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], "layer", transB=transposed)
    model = graph([node], {"w": weight.T.copy() if transposed else weight, "b": bias}, x=(16,), y=(8,))
    made = opened("w4", model, ROWS).convert(Precision())
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = ROWS @ unpack(*pack(weight), 16) + bias
    # Its kernel codes what it multiplies with in 8 bits.
    assert np.abs(session.run(["y"], {"x": ROWS})[0] - wanted).max() < 0.02 * np.abs(wanted).max()


def test_the_file_shrinks_to_its_bits():
    rng = np.random.default_rng(0)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], "a"), helper.make_node("MatMul", ["h", "w"], ["y"], "b")]
    model = graph(nodes, {"w": normal(rng, 512, 512)}, x=(512,), y=(512,))
    made = opened("w4", model, np.zeros((2, 512), np.float32)).convert(Precision())
    sizes = {item.name: len(item.raw_data) for item in made.graph.initializer}
    # Half a byte a weight and a float a block, once for both layers.
    assert sum(sizes.values()) == 512 * 512 // 2 + 512 * 512 // BLOCK * 4
    assert len(made.SerializeToString()) < 0.16 * len(model.SerializeToString())


def test_an_embedding_is_a_lookup_of_bytes_and_is_left_in_float_by_name():
    low = opened("w4", tokens(), WORDS)
    table = {item.name: item.data_type for item in low.convert(Precision()).graph.initializer}
    assert table["table/rows"] == onnx.TensorProto.INT8
    assert "table" in {
        item.name for item in low.convert(Precision(float_nodes=frozenset({"embedding"}))).graph.initializer
    }


def test_what_it_loses_is_what_its_weights_lose():
    model = layers(16, 64, 32, 4)
    low = opened("w4", model, ROWS)
    rounded = onnx.ModelProto()
    rounded.CopyFrom(low.prepared)
    for item in rounded.graph.initializer:
        if len(item.dims) == 2:
            weight = numpy_helper.to_array(item).T
            item.CopyFrom(numpy_helper.from_array(unpack(*pack(weight), len(weight)).T.copy(), item.name))
    made, exact, wanted = (
        next(inner_values(item, ["y"], [{"x": ROWS}]))["y"]
        for item in (low.convert(Precision()), rounded, low.prepared)
    )
    assert np.abs(made - exact).mean() < 0.2 * np.abs(exact - wanted).mean()


def test_it_is_known_as_compressed_and_kernels_without_it_are_named():
    made = opened("w4", layers(16, 64, 4), ROWS).convert(Precision())
    assert all(is_quantized(node) for node in made.graph.node if node.op_type == "MatMulNBits")
    found = [item.what for item in unsupported(made, support.QNN) if item.what == "MatMulNBits"]
    assert found == ["MatMulNBits"] * 2


def test_a_graph_of_convolutions_alone_is_refused():
    model = residual()
    del model.graph.node[-1]
    with pytest.raises(ModelError, match="no matrix product to pack in 4 bits"):
        LOW_PRECISIONS["w4"].check(model)
