"""The user's own torch network, made by a factory -> one checked FP32 ONNX graph."""

from __future__ import annotations

import onnx
import torch
from torch import Tensor, nn

from edgefair.errors import ModelError
from edgefair.exporters.conversion import OPSET, ROWS, finished_model, first_line, quietly
from edgefair.exporters.torch_program import torch_program
from edgefair.graphs.names import Names
from edgefair.training.networks.batch_norms import check_statistics

OUTPUT = "output"


def export_network(network: nn.Module, example: tuple[Tensor, ...], input_names: tuple[str, ...]) -> onnx.ModelProto:
    """Export a network that has its weights.

    Args:
        example: one tensor [rows, ...] per argument of forward; the number of rows is free in the graph.
        input_names: the graph's inputs, in the order of `example`.

    Returns:
        A graph with the output `output`, or `output_0`, `output_1`, ... where forward returns several tensors, with
        other numbers where inputs have these names. Of a result with `.logits`, the logits alone.

    Raises:
        ModelError: forward returns no tensors, a batch normalization has no statistics, or the network cannot be
            exported with any number of rows.
    """
    check_statistics(network)
    plain = _Plain(network).eval().float()
    # A batch of one would be specialised away.
    example = tuple(torch.cat([item, item]) if len(item) == 1 else item for item in example)
    rows, names = torch.export.Dim(ROWS, min=1), Names(input_names)
    try:
        with quietly():
            with torch.no_grad():
                count = len(plain(*example))
            program = torch_program(
                plain,
                example,
                opset_version=OPSET,
                input_names=list(input_names),
                output_names=[names.fresh(OUTPUT)] if count == 1 else [names.numbered(OUTPUT) for _ in range(count)],
                dynamic_shapes=(tuple({0: rows} for _ in example),),
            )
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"the network cannot be exported to ONNX: {first_line(error)}",
            expected=f"a forward that takes {', '.join(input_names)} with any number of rows, "
            "without control flow that depends on values",
        ) from error
    if program is None:
        raise ModelError("the exporter returned no ONNX program")
    return finished_model(program.model_proto, opset=OPSET, static="keep dimension 0 of every result for the rows")


class _Plain(nn.Module):
    """Inputs in order -> a tuple of tensors."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        result = self.network(*inputs)
        result = getattr(result, "logits", result)
        parts = (result,) if isinstance(result, Tensor) else result
        if not isinstance(parts, tuple | list) or not all(isinstance(part, Tensor) for part in parts) or not parts:
            raise ModelError(
                f"the network's forward returns a {type(result).__name__}",
                expected="a tensor, a tuple of tensors, or a result with .logits",
            )
        return tuple(parts)
