"""What forked processes need not do anew: import all that an export takes, and read torch's table of operators."""

import gc
import importlib

from tests.exporters.remembered import remember

for name in (
    *("click.testing", "pytest", "torch._dynamo", "onnxscript", "onnxruntime.quantization", "scipy.stats"),
    *("onnxruntime.tools.symbolic_shape_infer", "edgefair.cli", "edgefair.exporters.torch_module"),
    *("edgefair.training.loop", "edgefair.workflow.export"),
):
    importlib.import_module(name)
remember(True)
exporting, registration = map(
    importlib.import_module, ("edgefair.exporters.torch_program", "torch.onnx._internal.exporter._registration")
)
# No export: the threads that it starts would not be there in what is forked.
with exporting._operators_read_once():
    registration.ONNXRegistry.from_torchlib(
        opset_version=importlib.import_module("edgefair.exporters.torch_module").OPSET
    )
# What is forked neither looks through all that for garbage nor copies it for that.
gc.freeze()
