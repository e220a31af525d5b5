"""Small ExecuTorch programs: the linear classifier of `onnx_models`."""

from tests.targets.tflite_models import WEIGHTS


def program(path, *, rows=1, backend=True, weights=WEIGHTS):
    """score = softmax(W x). rows: the batch of the file, -1 for any up to 64. backend: whether XNNPACK runs it."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(len(weights[0]), len(weights), bias=False)
            self.layer.weight.data = torch.tensor(weights)

        def forward(self, x):
            return torch.softmax(self.layer(x), 1)

    example = torch.zeros(2 if rows == -1 else rows, len(weights[0]))
    sizes = {"x": {0: torch.export.Dim("rows", min=1, max=64)}} if rows == -1 else None
    exported = torch.export.export(Linear().eval(), (example,), dynamic_shapes=sizes)
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()] if backend else [])
    path.write_bytes(lowered.to_executorch().buffer)
    return path
