"""FP32 graphs drawn at random: operators, shapes, sharing, limits and names as foreign exporters write them."""

import numpy as np
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

LENGTH = (1, 2, 3, 5, 7)
WIDTH = (1, 2, 3, 4, 6, 8)
# Limits of clamps: one-sided, both, without zero, of nothing, of one point.
LIMITS = ((0, 6), (0, 0.3), (None, 1), (0.4, None), (1, None), (-0.3, None), (None, -0.2), (None, -1), (-1, 1),
          (0.2, 0.9), (-0.7, -0.1), (None, None), (0, None), (None, 0), (0, 0), (0.1, 0.1), (-1e-3, 1e-3))  # fmt: skip
# What is put behind the name of something that is there already.
ENDINGS = ("/scale", "/zero", "/codes", "/float", "/dequantized", "/bias", "/bias/scale", "/quantize", "/by_channel",
           "_scale", "_quantized", "_zero_point")  # fmt: skip


class Builder:
    """Draws one graph; `draw` is hypothesis's."""

    def __init__(self, draw, rng):
        self.draw, self.rng = draw, rng
        self.nodes, self.weights, self.values, self.taken = [], {}, {}, []

    def pick(self, choices):
        return self.draw(st.sampled_from(list(choices)))

    def yes(self, one_in=2):
        return self.draw(st.integers(1, one_in)) == 1

    def name(self, stem):
        """A name that nothing has: usually a plain one, else one that a writer of graphs might want for itself."""
        if self.taken and self.yes(6):
            name = self.pick(self.taken[-6:]) + self.pick(ENDINGS)
        else:
            name = self.pick(("", "", "", "/model/", "ä ", "7:")) + f"{stem}{len(self.taken)}"
        while name in self.taken:
            name += "'"
        self.taken.append(name)
        return name

    def weight(self, *shape, stem="w"):
        """A constant, often one that is there already."""
        same = [name for name, value in self.weights.items() if value.shape == shape and value.dtype == np.float32]
        if same and len(shape) > 1 and self.yes(3):
            return self.pick(same)
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        value = np.array(self.rng.normal(size=shape) * max(fan, 1) ** -0.5)
        kind = self.pick(("usual",) * 8 + ("zero", "one channel", "outlier", "large", "positive"))
        if kind == "zero":
            value[...] = 0
        elif kind == "one channel" and shape and shape[0]:
            value[0] *= 1e-6
        elif kind == "outlier" and value.size:
            value.reshape(-1)[0] = 20
        elif kind == "large":
            value *= 50
        elif kind == "positive":
            value = np.abs(value)
        return self.constant(value.astype(np.float32), stem)

    def constant(self, value, stem="c"):
        name = self.name(stem)
        self.weights[name] = value
        return name

    def node(self, operator, inputs, row, **attributes):
        """A node; its output, of rows of this shape."""
        output = self.name("v")
        label = "" if self.yes(4) else self.name("n")
        self.nodes.append(helper.make_node(operator, inputs, [output], label, **attributes))
        self.values[output] = tuple(row)
        return output

    def of_rank(self, *ranks):
        """Values whose rows have so many axes, the newest last."""
        return [name for name, row in self.values.items() if len(row) in ranks]

    def source(self, *ranks):
        """One of the newest values of a rank, most often the last; None where there is none."""
        found = self.of_rank(*ranks)
        return self.pick([found[-1], found[-1], *found[-3:]]) if found else None

    # Each of these adds some nodes, or nothing where they do not fit.

    def convolution(self):
        x = self.source(2, 3, 4)
        if x is None:
            return
        channels, *size = self.values[x]
        kernel = [self.pick([k for k in (1, 2, 3) if k <= n]) for n in size]
        group = self.pick([g for g in (1, 2, channels) if channels % g == 0])
        outputs = group * self.pick((1, 2, 3)) if group > 1 else self.pick(WIDTH)
        options = {"group": group} if group > 1 else {}
        strides = [self.pick((1, 1, 2)) for _ in size]
        if self.yes():
            options["strides"] = strides
        else:
            strides = [1] * len(size)
        padding = self.pick(("none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"))
        if padding == "pads":
            pads = [self.pick((0, 1)) for _ in range(2 * len(size))]
            options["pads"] = pads
            size = [n + pads[i] + pads[i + len(size)] for i, n in enumerate(size)]
        elif padding != "none":
            options["auto_pad"] = padding
        if padding.startswith("SAME"):
            row = [-(-n // s) for n, s in zip(size, strides, strict=True)]
        else:
            row = [(n - k) // s + 1 for n, k, s in zip(size, kernel, strides, strict=True)]
        inputs = [x, self.weight(outputs, channels // group, *kernel)]
        if self.yes():
            inputs.append(self.weight(outputs, stem="b"))
        y = self.node("Conv", inputs, (outputs, *row), **options)
        if self.yes(4):
            statistics = [self.constant(value.astype(np.float32)) for value in (
                self.rng.normal(size=outputs), self.rng.normal(size=outputs), self.rng.normal(size=outputs),
                self.rng.uniform(0.1, 2, outputs))]  # fmt: skip
            self.node("BatchNormalization", [y, *statistics], (outputs, *row))

    def transposed_convolution(self):
        x = self.source(3)
        if x is None:
            return
        channels, *size = self.values[x]
        outputs = self.pick(WIDTH)
        row = [n + 1 for n in size]
        self.node("ConvTranspose", [x, self.weight(channels, outputs, 2, 2)], (outputs, *row))

    def dense(self):
        x = self.source(1)
        if x is None:
            return
        (inputs,), outputs = self.values[x], self.pick(WIDTH)
        options = {}
        if self.yes(4):
            options["alpha"] = 0.5
        if self.yes(4):
            options["beta"] = -2.0
        shape = (inputs, outputs)
        if self.yes():
            options["transB"], shape = 1, (outputs, inputs)
        read = [x, self.weight(*shape)]
        bias = self.pick(((outputs,), (outputs,), (1,), (1, outputs), (), (1, 1), None))
        if bias is not None:
            read.append(self.weight(*bias, stem="b"))
        self.node("Gemm", read, (outputs,), **options)

    def product(self):
        x = self.source(1, 2, 3)
        if x is None:
            return
        row, outputs = self.values[x], self.pick(WIDTH)
        kind = self.pick(("plain", "plain", "plain", "vector", "batched", "left"))
        if kind == "vector":
            self.node("MatMul", [x, self.weight(row[-1])], row[:-1])
            return
        if kind == "batched" and len(row) == 3:
            self.node("MatMul", [x, self.weight(row[0], row[2], outputs)], (*row[:-1], outputs))
            return
        if kind == "left" and len(row) == 2:
            self.node("MatMul", [self.weight(outputs, row[0]), x], (outputs, row[1]))
            return
        y = self.node("MatMul", [x, self.weight(row[-1], outputs)], (*row[:-1], outputs))
        if self.yes():
            self.node("Add", self.either(y, self.weight(outputs, stem="b")), (*row[:-1], outputs))

    def either(self, a, b):
        return [a, b] if self.yes() else [b, a]

    def clamp(self, x=None):
        x = x or self.source(0, 1, 2, 3, 4)
        row = self.values[x]
        kind = self.pick(("Relu", "Relu", "Clip", "Clip", "Clip", "Clip", "computed", "Max", "Min"))
        if kind == "Relu":
            self.node("Relu", [x], row)
        elif kind in {"Max", "Min"}:
            limit = np.float32(self.pick((0, 0.5, -0.5)))
            self.node(kind, self.either(x, self.constant(limit)), row)
        else:
            low, high = self.pick(LIMITS)
            names = ["" if limit is None else self.constant(np.float32(limit), "l") for limit in (low, high)]
            if kind == "computed" and names[1]:
                self.nodes.append(helper.make_node("Neg", [self.constant(np.float32(-high))], [names[1] + "!"]))
                names[1] += "!"
            while names and not names[-1]:
                names.pop()
            self.node("Clip", [x, *names], row)

    def activation(self):
        x = self.source(0, 1, 2, 3, 4)
        operator, options = self.pick((
            ("LeakyRelu", {"alpha": 0.1}), ("HardSwish", {}), ("HardSigmoid", {}), ("Sigmoid", {}), ("Tanh", {}),
            ("Identity", {}), ("Neg", {}), ("Elu", {}), ("Gelu", {}), ("Abs", {}), ("Softplus", {}), ("Exp", {}),
        ))  # fmt: skip
        if operator == "Exp":
            x = self.node("Tanh", [x], self.values[x])
        self.node(operator, [x], self.values[x], **options)

    def sum(self):
        x = self.source(1, 2, 3)
        if x is None:
            return
        row = self.values[x]
        alike = [name for name, other in self.values.items() if other == row]
        operator = self.pick(("Add", "Add", "Add", "Add", "Mul", "Sub", "Sum"))
        kind = self.pick(("value", "value", "value", "constant", "scalar", "broadcast"))
        if kind == "constant":
            other = self.weight(*row)
        elif kind == "scalar":
            other = self.constant(np.float32(self.rng.normal()))
        elif kind == "broadcast" and len(row) == 3:
            other = self.node("GlobalAveragePool", [x], (row[0], 1, 1))
        else:
            other = self.pick(alike)
        self.node(operator, self.either(x, other), row)

    def join(self):
        x = self.source(1, 2, 3)
        if x is None:
            return
        row = self.values[x]
        alike = [name for name, other in self.values.items() if other == row]
        others = [self.pick(alike) for _ in range(self.pick((1, 1, 2)))]
        axis = self.pick(range(1, len(row) + 1))
        joined = list(row)
        joined[axis - 1] *= 1 + len(others)
        self.node("Concat", [x, *others], joined, axis=axis - self.pick((0, 0, len(row) + 1)))

    def split(self):
        x = self.source(1, 2, 3)
        if x is None or self.values[x][0] % 2:
            return
        row = (self.values[x][0] // 2, *self.values[x][1:])
        names = [self.name("v"), self.name("v")]
        self.nodes.append(helper.make_node("Split", [x], names, self.name("n"), axis=1, num_outputs=2))
        self.values |= dict.fromkeys(names, row)

    def pool(self):
        x = self.source(3)
        if x is None:
            return
        channels, *size = self.values[x]
        operator = self.pick(("MaxPool", "AveragePool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"))
        if operator.startswith("Global"):
            self.node(operator, [x], (channels, 1, 1))
            return
        kernel = [self.pick([k for k in (1, 2, 3) if k <= n]) for n in size]
        stride, ceil, pad = self.pick((1, 2)), self.pick((0, 0, 1)), self.pick((0, 0, 1))
        pad = pad if min(kernel) > 1 else 0
        over = [n + 2 * pad - k for n, k in zip(size, kernel, strict=True)]
        row = [(-(-o // stride) if ceil else o // stride) + 1 for o in over]
        # onnx and onnxruntime disagree about a window that would begin in the padding behind.
        if any((count - 1) * stride >= n + pad for count, n in zip(row, size, strict=True)):
            return
        options = {"kernel_shape": kernel, "strides": [stride] * 2, "ceil_mode": ceil, "pads": [pad] * 4}
        if operator == "AveragePool":
            options["count_include_pad"] = self.pick((0, 1))
        self.node(operator, [x], (channels, *row), **options)

    def move(self):
        x = self.source(1, 2, 3)
        if x is None:
            return
        row = self.values[x]
        kind = self.pick(("Flatten", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "ReduceMean", "Slice"))
        size = int(np.prod(row))
        if kind == "Flatten":
            self.node("Flatten", [x], (size,))
        elif kind == "Reshape":
            shape = self.pick([(size,), (size, 1), (1, size), (*row[:-1], 1, row[-1])])
            if len(shape) <= 3:
                self.node("Reshape", [x, self.constant(np.array([-1, *shape]))], shape)
        elif kind == "Transpose" and len(row) > 1:
            order = self.draw(st.permutations(range(len(row))))
            self.node("Transpose", [x], [row[i] for i in order], perm=[0, *(i + 1 for i in order)])
        elif kind == "Unsqueeze" and len(row) < 3:
            self.node("Unsqueeze", [x, self.constant(np.array([1]))], (1, *row))
        elif kind == "Squeeze" and 1 in row and len(row) > 1:
            at = row.index(1)
            self.node("Squeeze", [x, self.constant(np.array([at + 1]))], row[:at] + row[at + 1 :])
        elif kind == "ReduceMean" and len(row) > 1:
            self.node("ReduceMean", [x, self.constant(np.array([-1]))], row[:-1], keepdims=0)
        elif kind == "Slice" and row[-1] > 1:
            limits = [self.constant(np.array([value])) for value in (1, row[-1], len(row))]
            self.node("Slice", [x, *limits], (*row[:-1], row[-1] - 1))

    def normalization(self):
        x = self.source(1, 2)
        if x is None:
            return
        row = self.values[x]
        operator = self.pick(("LayerNormalization", "Softmax"))
        read = [x, self.weight(row[-1], stem="g")] if operator == "LayerNormalization" else [x]
        self.node(operator, read, row)

    def attention(self):
        """Queries and keys of one value: a product of two activations."""
        x = self.source(2)
        if x is None:
            return
        length, width = self.values[x]
        q = self.node("MatMul", [x, self.weight(width, width)], (length, width))
        k = self.node("MatMul", [x, self.weight(width, width)], (length, width))
        t = self.node("Transpose", [k], (width, length), perm=[0, 2, 1])
        s = self.node("Softmax", [self.node("MatMul", [q, t], (length, length))], (length, length))
        self.node("MatMul", [s, x], (length, width))

    def end(self):
        """A last layer that gives `y`, and sometimes an inner value beside it."""
        x = self.pick(list(self.values)[-2:])
        row = self.values[x]
        if len(row) != 1:
            x = self.node("Flatten", [x], (int(np.prod(row)),))
        size = int(np.prod(row))
        inputs = [x, self.weight(size, 2)] + ([self.weight(2, stem="b")] if self.yes() else [])
        self.nodes.append(helper.make_node("Gemm" if len(inputs) == 3 else "MatMul", inputs, ["y"], "end"))
        return [self.pick(list(self.values)[1:])] if len(self.values) > 1 and self.yes(4) else []


@st.composite
def networks(draw):
    """A model with the input `x` and the output `y`, and rows of it, float32 [16, ...]."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    build = Builder(draw, rng)
    rank = draw(st.sampled_from((1, 2, 3, 3, 3, 4)))
    row = tuple(draw(st.sampled_from(WIDTH if axis == 0 else LENGTH)) for axis in range(rank))
    build.values["x"] = row
    build.taken += ["x", "y", "end"]
    steps = (build.convolution, build.convolution, build.convolution, build.dense, build.dense, build.product,
             build.product, build.clamp, build.clamp, build.clamp, build.activation, build.sum, build.sum, build.join,
             build.pool, build.move, build.move, build.normalization, build.split, build.attention,
             build.transposed_convolution)  # fmt: skip
    layers = (build.convolution, build.dense, build.product, build.sum, build.pool, build.join)
    for _ in range(draw(st.integers(2, 12))):
        step = draw(st.sampled_from(steps))
        step()
        if step in layers and build.yes():
            build.clamp(list(build.values)[-1])
        if int(np.prod(list(build.values.values())[-1])) > 4096:
            break
    extra = build.end()
    kind = TensorProto.FLOAT
    made = helper.make_graph(
        build.nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, ["rows", *row])],
        [
            helper.make_tensor_value_info("y", kind, ["rows", 2]),
            *(helper.make_tensor_value_info(name, kind, ["rows", *build.values[name]]) for name in extra),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in build.weights.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    scale = draw(st.sampled_from((1.0, 1.0, 1.0, 1e-3, 100.0)))
    shift = draw(st.sampled_from((0.0, 0.0, 2.0, -2.0)))
    return model, ((rng.normal(size=(16, *row)) + shift) * scale).astype(np.float32)
