"""ExecuTorch programs, lowered to XNNPACK. They know no names: inputs and outputs are numbered."""

from __future__ import annotations

import torch

from edgefair.exporters.programs.base import ProgramWriter
from edgefair.probe.formats.executorch import FORMAT


def _lower(module: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> bytes:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    exported = torch.export.export(module, example)
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    return bytes(lowered.to_executorch().buffer)


WRITER = ProgramWriter(
    runtime=FORMAT.name,
    suffix=FORMAT.suffix,
    packages="executorch",
    inputs=lambda place: f"input_{place}",
    outputs=("output_0", "output_1"),
    lower=_lower,
)
