"""What all tests share: the surroundings of a log, not of a terminal; and what torch reads anew in every export."""

import functools
import os
import sys

from hypothesis import settings

from tests.targets.quiet import quiet_device as quiet_device

# pytest-xdist tells its workers the width of the terminal that nobody sees; output in a pipe keeps to it.
os.environ.pop("COLUMNS", None)
# A deadline is wall time, and a busy machine would miss it.
settings.register_profile("suite", parent=settings(), deadline=None)
settings.load_profile("suite")


def pytest_runtest_setup():
    """Keep torch's table of ONNX operators, which is always the same: each export parses 500 functions for it."""
    module = sys.modules.get("torch.onnx._internal.exporter._registration")
    if module is not None and not hasattr(module.ONNXRegistry.from_torchlib, "cache_info"):
        module.ONNXRegistry.from_torchlib = staticmethod(functools.cache(module.ONNXRegistry.from_torchlib))
