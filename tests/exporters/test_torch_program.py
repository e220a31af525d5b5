"""What torch does for every export anew is left out, and neither the graph nor torch itself is another for it."""

import torch
from torch._export import utils
from torch.onnx._internal.exporter import _registration

from edgefair.exporters.checked import drop_traces
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


def test_the_graph_is_torchs_own_without_the_lines_that_made_it(exported_anew, monkeypatch):
    looked_up, named = [], utils._materialize_cpp_cia_ops
    monkeypatch.setattr(utils, "_materialize_cpp_cia_ops", lambda: looked_up.append(1) or named())

    def exported(export):
        looked_up.clear()
        layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.Softmax(dim=1)).eval()
        for part in layers.parameters():
            torch.nn.init.constant_(part, 0.5)
        model = export(layers, EXAMPLE, opset_version=OPSET).model_proto
        told = [item.value for node in model.graph.node for item in node.metadata_props if "stack_trace" in item.key]
        drop_traces(model)
        return model.SerializeToString(deterministic=True), told, len(looked_up)

    ours, no_lines, once = exported(torch_program)
    theirs, lines, often = exported(lambda *args, **how: torch.onnx.export(*args, dynamo=True, verbose=False, **how))
    assert ours == theirs
    assert any(lines), "torch remembers lines again, and looks operators up as it always did"
    assert not any(no_lines)
    assert (once, often > 2) == (1, True)
