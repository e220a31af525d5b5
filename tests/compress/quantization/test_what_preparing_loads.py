"""A graph is prepared without PyTorch, which onnxruntime's tools load wherever it is installed."""

import subprocess
import sys

import pytest

PREPARING = """
import sys
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from edgefair.compress.quantization.prepare import prepare_graph

x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 3]) for name in "xy")
weight = numpy_helper.from_array(np.eye(3, dtype=np.float32), "w")
nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Reshape", ["x", "s"], ["z"])]
graph = helper.make_graph([*nodes, helper.make_node("MatMul", ["z", "w"], ["y"])], "g", [x], [y], [weight])
prepared = prepare_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]))
assert {"onnxruntime.tools.symbolic_shape_infer", "sympy"} <= sys.modules.keys()
assert "torch" not in sys.modules
print(*[item.name for item in prepared.graph.value_info])
import onnxruntime.tools
assert "torch" in sys.modules, "whoever asks for the tools themselves gets them whole"
onnxruntime.tools.infer_input_info
"""


def test_preparing_a_graph_infers_its_shapes_and_loads_no_pytorch():
    pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-c", PREPARING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "z" in done.stdout.split()
