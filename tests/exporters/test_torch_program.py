"""torch's table of ONNX operators is read once in a process, and no export changes it for others."""

import torch
from torch.onnx._internal.exporter import _registration

from edgefair.exporters.torch_module import OPSET
from edgefair.exporters.torch_program import torch_program

EXAMPLE = (torch.zeros(2, 3),)


def graph():
    return torch_program(torch.nn.Linear(3, 1, bias=False).eval(), EXAMPLE, opset_version=OPSET).model_proto.graph


def test_the_table_of_operators_is_read_once(exported_anew, monkeypatch):
    graph()
    read = []
    monkeypatch.setattr(_registration._torchlib_registry, "get_torchlib_ops", lambda: read.append(1) or [])
    again = graph()
    assert not read
    assert {node.op_type for node in again.node} <= {"MatMul", "Transpose", "Gemm"}
    _registration.ONNXRegistry.from_torchlib(OPSET)
    assert read, "torch itself reads it where it always did"


def test_an_operator_of_one_export_is_none_of_the_next(exported_anew):
    own = {torch.ops.aten.relu.default: lambda x: x}
    torch_program(torch.nn.ReLU().eval(), EXAMPLE, opset_version=OPSET, custom_translation_table=own)
    plain = torch_program(torch.nn.ReLU().eval(), EXAMPLE, opset_version=OPSET).model_proto.graph
    assert [node.op_type for node in plain.node] == ["Relu"]
