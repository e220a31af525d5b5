"""Plugins of onnxruntime in this process, where they find something to run on."""

import functools

import onnxruntime
import pytest


def plugin_of(package, name):
    """The package of a plugin, whose provider is registered; skips where it is not installed or finds no device.

    OpenVINO's plugin runs on Intel's devices alone, processors included.
    """
    found = pytest.importorskip(package)
    _register(name, found.get_library_path())
    if all(item.ep_name != name for item in onnxruntime.get_ep_devices()):
        pytest.skip(f"{package} finds no device here that {name} can run on")
    return found


@functools.cache
def _register(name, library):
    """Once in a process: another time is an error, and a provider without a device is not listed."""
    if name not in onnxruntime.get_available_providers():
        onnxruntime.register_execution_provider_library(name, library)
