"""What forked processes need not do anew: import all that an export takes, and read torch's table of operators."""

import importlib

from tests.exporters.remembered import remember

for name in (
    *("click.testing", "pytest", "torch._dynamo", "onnxscript", "onnxruntime.quantization", "scipy.stats"),
    *("onnxruntime.tools.symbolic_shape_infer", "edgefair.cli", "edgefair.exporters.torch_module"),
    *("edgefair.training.loop", "edgefair.workflow.export"),
):
    importlib.import_module(name)
remember(True)
torch, exporting = map(importlib.import_module, ("torch", "edgefair.exporters.torch_module"))
exporting.torch_program(torch.nn.Identity(), (torch.zeros(2),), opset_version=exporting.OPSET)
