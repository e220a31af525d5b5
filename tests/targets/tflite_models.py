"""Small TFLite files, written field by field as the schema says: a linear classifier, in float or in whole numbers."""

import numpy as np

from edgefair.probe.formats.appended import with_appended
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY

WEIGHTS = ((1.0, 0.5), (-1.0, -0.5))  # [classes, features], as `onnx_models.classifier` has them
FLOAT, INT8 = "FLOAT32", "INT8"


def linear(path, *, weights=WEIGHTS, rows=1, softmax=True, spec=None, external=False, name="x"):
    """score = softmax(W x). rows: the batch of the file, -1 for a dynamic one, None for a file without one."""
    return _save(path, np.asarray(weights, np.float32), None, rows, softmax, spec, external, name)


def quantized(path, *, weights=WEIGHTS, scales=(0.05, 0.1), zeros=(3, -5), rows=1, softmax=True, spec=None):
    """As `linear`, in INT8. scales, zeros: of the input and of the logits; the score has 1 / 256 and -128."""
    weights = np.asarray(weights, np.float32)
    return _save(path, weights, (scales, zeros, float(np.abs(weights).max()) / 127), rows, softmax, spec, False, "x")


def _save(path, weights, steps, rows, softmax, spec, external, name):
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    classes, features = weights.shape
    kind = getattr(schema.TensorType, FLOAT if steps is None else INT8)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs = 3, [graph]
    bias_type = schema.TensorType.FLOAT32 if steps is None else schema.TensorType.INT32
    held = weights if steps is None else np.round(weights / steps[2]).astype(np.int8)
    model.buffers = [schema.BufferT(), _buffer(schema, held), _buffer(schema, np.zeros(classes, "f4"))]
    lead = [] if rows is None else [abs(rows)]
    of = dict.fromkeys(("input", "weights", "bias", "logits", "score"), (None, None))
    if steps is not None:
        (into, out), (into_zero, out_zero), scale = steps
        of = {
            "input": (into, into_zero),
            "weights": (scale, 0),
            "bias": (into * scale, 0),
            "logits": (out, out_zero),
            "score": (1 / 256, -128),
        }
    graph.tensors = [
        _tensor(schema, name, [*lead, features], kind, 0, of["input"], rows),
        _tensor(schema, "weights", weights.shape, kind, 1, of["weights"], 1),
        _tensor(schema, "bias", [classes], bias_type, 2, of["bias"], 1),
        _tensor(schema, "logits", [*lead, classes], kind, 0, of["logits"], rows),
        _tensor(schema, "score", [*lead, classes], kind, 0, of["score"], rows),
    ]
    graph.inputs, graph.outputs = [0], [4 if softmax else 3]
    graph.operators = [_operator(schema, 0, [0, 1, 2], [3], "FullyConnectedOptions", {})]
    codes = [_code(schema, schema.BuiltinOperator.FULLY_CONNECTED, 1 if steps is None else 4)]
    if softmax:
        graph.operators.append(_operator(schema, 1, [3], [4], "SoftmaxOptions", {"beta": 1.0}))
        codes.append(_code(schema, schema.BuiltinOperator.SOFTMAX, 1 if steps is None else 2))
    model.operatorCodes = codes
    if external:
        group = schema.ExternalBufferGroupT()
        group.name = "weights.bin"
        model.externalBufferGroups = [group]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    content = bytes(builder.Output())
    path.write_bytes(content if spec is None else with_appended(content, {SPEC_METADATA_KEY: spec.to_json()}))
    return path


def _buffer(schema, array):
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(array.tobytes(), np.uint8)
    return buffer


def _tensor(schema, name, shape, kind, buffer, quantization, rows):
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, buffer
    if rows == -1:
        tensor.shapeSignature = [-1, *shape[1:]]
    scale, zero = quantization
    if scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
    return tensor


def _operator(schema, code, inputs, outputs, options, values):
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, outputs
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
    operator.builtinOptions = getattr(schema, f"{options}T")()
    for key, value in values.items():
        setattr(operator.builtinOptions, key, value)
    return operator


def _code(schema, builtin, version):
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = version
    return code
