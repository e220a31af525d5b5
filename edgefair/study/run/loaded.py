"""Loads what the workers of a study need and takes long: once, in the process that they are forked from.

Nothing here starts a thread or asks for a GPU, as a fork keeps neither. onnxruntime and pyarrow do the former when they
are loaded, and torch's exporter does both when it runs: every worker does that for itself.
"""

from __future__ import annotations

import contextlib
import importlib

for _name in (
    "torch",
    "scipy.stats",
    "onnxscript.function_libs.torch_lib.ops",
    "torch._dynamo",
    "torch.onnx._internal.exporter._core",
    "edgefair.exporters.torch_module",
    "edgefair.training.loop",
    "edgefair.workflow.job",
):
    with contextlib.suppress(ImportError):  # a worker that cannot do without it says so
        importlib.import_module(_name)
