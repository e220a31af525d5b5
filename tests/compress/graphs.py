"""Small FP32 graphs to quantize."""

import itertools

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def graph(nodes, weights, *, x, y, opset=20, kind=TensorProto.FLOAT):
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, ["rows", *x])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", *y])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def normal(rng, *shape, scale=None):
    fan = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    return (rng.normal(size=shape) * (fan**-0.5 if scale is None else scale)).astype(np.float32)


def residual(channels=8, side=8, seed=0):
    """Convolution, residual block, pooling, convolution with a clip, mean, linear layer: x [rows, 3, side, side]."""
    rng = np.random.default_rng(seed)
    c = channels
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["c0"], "stem", pads=[1, 1, 1, 1]),
        node("Relu", ["c0"], ["r0"], "stem_relu"),
        node("Conv", ["r0", "w1", "b1"], ["c1"], "first", pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"], "first_relu"),
        node("Conv", ["r1", "w2", "b2"], ["c2"], "second", pads=[1, 1, 1, 1]),
        node("Add", ["c2", "r0"], ["a"], "sum"),
        node("Relu", ["a"], ["r2"], "sum_relu"),
        node("MaxPool", ["r2"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p", "w3", "b3"], ["c3"], "last", pads=[1, 1, 1, 1]),
        node("Clip", ["c3", "zero", "six"], ["r3"], "last_clip"),
        node("ReduceMean", ["r3", "axes"], ["m"], "mean", keepdims=0),
        node("Gemm", ["m", "w4", "b4"], ["y"], "head", transB=1),
    ]
    weights = {
        "w0": normal(rng, c, 3, 3, 3),
        "w1": normal(rng, c, c, 3, 3),
        "w2": normal(rng, c, c, 3, 3),
        "w3": normal(rng, c, c, 3, 3),
        "w4": normal(rng, 2, c),
        **{f"b{index}": normal(rng, 2 if index == 4 else c, scale=0.2) for index in range(5)},
        "zero": np.float32(0),
        "six": np.float32(6),
        "axes": np.array([2, 3]),
    }
    return graph(nodes, weights, x=(3, side, side), y=(2,))


def post_norm(width=64, length=8, seed=0):
    """Two linear layers with residuals, of which only the first's is read by nothing but its normalization."""
    rng = np.random.default_rng(seed)
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w0"], ["m0"], "first"),
        node("Add", ["m0", "x"], ["a0"], "first_sum"),
        node("LayerNormalization", ["a0", "scale", "shift"], ["n0"], "first_norm"),
        node("MatMul", ["n0", "w1"], ["m1"], "second"),
        node("Add", ["m1", "n0"], ["a1"], "second_sum"),
        node("LayerNormalization", ["a1", "scale", "shift"], ["n1"], "second_norm"),
        node("Add", ["n1", "a1"], ["y"], "last_sum"),
    ]
    weights = {
        "w0": normal(rng, width, width),
        "w1": normal(rng, width, width),
        "scale": normal(rng, width, scale=1.0),
        "shift": normal(rng, width, scale=1.0),
    }
    return graph(nodes, weights, x=(length, width), y=(length, width))


def pictures(rows, side=8, seed=0):
    return {"x": np.random.default_rng(seed).normal(size=(rows, 3, side, side)).astype(np.float32)}


def layers(*sizes, seed=0):
    """Linear layers with a Relu between them: x [rows, sizes[0]]."""
    rng = np.random.default_rng(seed)
    nodes, weights, name = [], {}, "x"
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        last = index == len(sizes) - 2
        weights |= {f"w{index}": normal(rng, outputs, inputs), f"b{index}": normal(rng, outputs, scale=0.2)}
        given = "y" if last else f"h{index}"
        nodes.append(helper.make_node("Gemm", [name, f"w{index}", f"b{index}"], [given], f"layer{index}", transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [given], [name := f"r{index}"], f"relu{index}"))
    return graph(nodes, weights, x=(sizes[0],), y=(sizes[-1],))


def tokens(vocabulary=2000, width=40, seed=0):
    """Embedding, a layer per token, a mean, a layer: x int64 [rows, 6]."""
    rng = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["e"], "embedding"),
        helper.make_node("MatMul", ["e", "w"], ["h"], "each"),
        helper.make_node("Gelu", ["h"], ["g"], "gelu"),
        helper.make_node("ReduceMean", ["g", "axes"], ["m"], "mean", keepdims=0),
        helper.make_node("Gemm", ["m", "v", "b"], ["y"], "head"),
    ]
    weights = {
        "table": (rng.normal(size=(vocabulary, width)) * rng.gamma(1, 1, (vocabulary, 1))).astype(np.float32),
        "w": normal(rng, width, width),
        "axes": np.array([1]),
        "v": normal(rng, width, 2),
        "b": normal(rng, 2),
    }
    return graph(nodes, weights, x=(6,), y=(2,), kind=TensorProto.INT64)
