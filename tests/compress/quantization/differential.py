"""One graph through static INT8, and whatever integer arithmetic does not explain."""

import numpy as np
import onnx
import onnxruntime

from edgefair.compress.quantization.agreement import disagreements
from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.pairing import Pairing
from edgefair.compress.quantization.placement import small_layers
from edgefair.compress.quantization.prepare import prepare_graph, quantizable_nodes
from edgefair.compress.quantization.static import Precision, Quantizer

# Of a step, what a kernel of onnxruntime may round besides the half of it: its multipliers are float32.
KERNEL = 0.02


def session(model, *, fused):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # What reads 16-bit activations would get them in 8 bits (MatMulNBits): that is no error of the graph.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def exposed(model, names):
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return shown


def int8_of(model, x, recipe, choose):
    """Prepared graph, ranges, and the INT8 graph; None where the graph has no layer for INT8.

    Args:
        choose: from the names of the layers, those that stay in float.
    """
    prepared = prepare_graph(model)
    layers = quantizable_nodes(prepared)
    if not layers:
        return None
    ranges = calibrate(prepared, [{"x": x}], method=recipe.method)
    small = small_layers(prepared)
    floats = frozenset(choose(layers, small if small < set(layers) else frozenset()))
    precision = Precision(float_nodes=floats, reduced_nodes=frozenset(layers) - floats)
    return prepared, ranges, Quantizer(prepared, ranges, recipe).quantize(precision)


def unexplained(model, prepared, ranges, int8, x, *, whole=True):
    """What differs from FP32 in words; nothing where integer arithmetic explains all.

    The FP32 graph as it came and as it was prepared; every node of the INT8 graph as it is written; every range; and
    the codes that onnxruntime's own kernels give.

    Args:
        whole: whether the ranges hold every value of these rows.
    """
    feeds = {"x": x}
    outputs = [item.name for item in model.graph.output]
    before = session(model, fused=False).run(outputs, feeds)
    after = session(prepared, fused=False).run(outputs, feeds)
    for name, wanted, found in zip(outputs, before, after, strict=True):
        if not np.allclose(wanted, found, rtol=0, atol=1e-3 * max(1.0, np.abs(wanted).max())):
            return f"preparing changes '{name}' by {np.abs(wanted - found).max()}"
    # Rows that calibration has not seen leave the ranges, and must leave no clamp.
    for rows in (x, -3 * x):
        for item in disagreements(prepared, int8, {"x": rows}):
            return f"{item.operator} '{item.node}': {item.found}"
    return (cut_off(prepared, ranges, int8, feeds) if whole else None) or unlike_kernels(prepared, int8, feeds)


def cut_off(prepared, ranges, int8, feeds):
    """A value that calibration rows have, and no code."""
    pairing = Pairing(prepared, int8)
    coded = {name: pairing.quantizer(name) for name in ranges if pairing.quantizer(name) is not None}
    values = session(exposed(prepared, list(coded)), fused=False).run(list(coded), feeds) if coded else []
    for (name, quantizer), value in zip(coded.items(), values, strict=True):
        low, high, step = pairing.range_of(quantizer)
        slack = 0.51 * step + 1e-5 * np.abs(value).max(initial=0)
        if value.size and (value.min() < low - slack or value.max() > high + slack):
            return f"'{name}' is from {value.min()} to {value.max()}, its codes from {low} to {high}"
    return None


def unlike_kernels(prepared, int8, feeds):
    """A code of onnxruntime's kernels that the FP32 operator does not give on what the kernel read."""
    pairing = Pairing(prepared, int8)
    reads, compared = {}, []
    for node in pairing.nodes:
        other = pairing.other(node)
        if other is None:
            continue
        clamp = pairing.folded_into(node)
        value = node.output[0] if clamp is None else clamp.output[0]
        decoded = pairing.decoded(value)
        if decoded is not None and not pairing.is_float(value):
            compared.append((node, other, clamp, decoded))
            reads |= dict.fromkeys(name for name in other.input if name and name not in pairing.made)
    names = list(dict.fromkeys([*reads, *(item[3] for item in compared)]))
    # What was asked for besides keeps kernels apart that are fused otherwise: the outputs alone must be computed too.
    alone = session(int8, fused=True).run(None, feeds)
    if not all(np.isfinite(item).all() for item in alone):
        return "the INT8 graph gives numbers that are not finite"
    values = dict(zip(names, session(exposed(int8, names), fused=True).run(names, feeds), strict=True)) if names else {}
    as_written = session(int8, fused=False).run(None, feeds)
    for node, other, clamp, decoded in compared:
        wanted = alone_of(node, other, clamp, pairing, values)
        low, high, step = pairing.range_of(pairing.quantizer(node.output[0] if clamp is None else clamp.output[0]))
        difference = np.abs(np.clip(wanted, low, high) - values[decoded])
        allowed = step * (0.5 + KERNEL) + 1e-5 * np.abs(wanted)
        if (difference > allowed).any():
            return f"the kernel of {node.op_type} '{node.name}' is off by {difference.max() / step:.2f} steps"
    return far_apart(alone, as_written)


def alone_of(node, other, clamp, pairing, values):
    """What an FP32 node and its clamp give on the values that the INT8 node reads, float64."""
    nodes, constants = [], {}
    for item, inputs in ((node, list(other.input)), (clamp, None)):
        if item is None:
            continue
        copied = onnx.NodeProto()
        copied.CopyFrom(item)
        if inputs is not None:
            copied.input[:] = inputs
        nodes.append(copied)
        for name in copied.input:
            constants |= {name: pairing.constant[name]} if name in pairing.constant else {}
            constants |= {name: pairing.made[name]} if name in pairing.made else {}
    read = [name for item in nodes for name in item.input if name in values and name not in nodes[0].output]
    graph = onnx.helper.make_graph(
        nodes,
        "one",
        [onnx.helper.make_tensor_value_info(name, 1, values[name].shape) for name in dict.fromkeys(read)],
        [onnx.ValueInfoProto(name=nodes[-1].output[0])],
        list(constants.values()),
    )
    model = onnx.helper.make_model(graph, opset_imports=pairing.quantized.opset_import, ir_version=9)
    feeds = {name: values[name] for name in read}
    return session(model, fused=False).run([nodes[-1].output[0]], feeds)[0].astype(np.float64)


def far_apart(fused, as_written):
    """Outputs of the kernels that are far from those of the graph as it is written."""
    for index, (found, wanted) in enumerate(zip(fused, as_written, strict=True)):
        spread = np.abs(wanted).max(initial=0)
        if np.abs(found - wanted).max(initial=0) > 0.2 * spread + 1e-4:
            return f"output {index} of the kernels is off by {np.abs(found - wanted).max()} of {spread}"
    return None
