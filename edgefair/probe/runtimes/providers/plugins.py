"""Libraries that bring onnxruntime a provider: registered once a process, and known by their digest and version."""

from __future__ import annotations

import hashlib
import importlib
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Mapping

from edgefair.probe.errors import ProbeError, first_line
from edgefair.probe.runtimes.providers.placement import tells_nodes
from edgefair.probe.runtimes.providers.settings import PACKAGES, Provider

# Since when onnxruntime's Python takes plugins and tells which nodes they took.
SINCE = "1.24"
# Parts of the names of those facts that a provider says of itself and its device on which its answers depend.
TELLING = ("version", "driver", "device_name", "architecture")
CHUNK_BYTES = 1 << 20

_registered: Dict[str, str] = {}


def add_plugin(settings: Any, provider: Provider) -> Dict[str, str]:
    """Add a plugin to a session's options on its one device; what it says of itself.

    `library` (sha256), `package` with its version where it comes from one, `device` in words, and of what the provider
    says of both whatever `TELLING` knows.

    settings: onnxruntime's SessionOptions.

    Raises:
        ProbeError: `no_runtime` where the package or the library is not there or does not load, onnxruntime is too
            old, or the provider finds no such device, or several.
    """
    import onnxruntime

    name, wanted = provider.name, dict(provider.settings.device)
    if not tells_nodes():
        raise ProbeError("no_runtime", f"onnxruntime {onnxruntime.__version__} on the device is older than {SINCE}")
    path = library_of(provider)
    digest = _register(name, path)
    found = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name]
    fitting = [device for device in found if all(_facts(device).get(key) == text for key, text in wanted.items())]
    if len(fitting) != 1:
        raise ProbeError("no_runtime", _choice(name, [_words(device) for device in found], wanted))
    settings.add_provider_for_devices(fitting, dict(provider.settings.options))
    facts = {key: text for key, text in _facts(fitting[0]).items() if any(part in key.lower() for part in TELLING)}
    return {**facts, **_package(provider), "library": digest, "device": _words(fitting[0])}


def _choice(name: str, found: List[str], wanted: Mapping[str, str]) -> str:
    """Why there is not one device, in words."""
    if not found:
        return f"{name} finds no device here that it can run on: its driver, or the hardware, is not there"
    asked = " and ".join(f"{key} {text}" for key, text in wanted.items()) or "no `device`"
    return f"{name} finds {'; '.join(found)}, and the profile's {asked} does not choose one of them"


def library_of(provider: Provider) -> str:
    """The path of a plugin's library.

    Raises:
        ProbeError: its package is not installed, or does not tell it.
    """
    package = provider.settings.package
    if package is None:
        return str(provider.settings.library)
    try:
        return str(importlib.import_module(package).get_library_path())
    except ModuleNotFoundError as error:
        raise ProbeError(
            "no_runtime", f"the device has no {PACKAGES[package]} ({error}): pip install {PACKAGES[package]}"
        ) from error
    except Exception as error:
        raise ProbeError("no_runtime", f"{PACKAGES[package]} has no library here: {first_line(error)}") from error


def _register(name: str, path: str) -> str:
    """Load a library, unless this process has; its sha256.

    Under the provider's own name, by which some call their devices.
    """
    import onnxruntime

    try:
        digest = _digest(path)
    except OSError as error:
        raise ProbeError("no_runtime", f"the library of {name}, '{path}', cannot be read: {error.strerror}") from error
    if _registered.setdefault(name, digest) != digest:
        raise ProbeError("no_runtime", f"'{path}' cannot replace the library of {name} in this process")
    try:
        onnxruntime.register_execution_provider_library(name, path)
    except Exception as error:
        if "already registered" in str(error):
            return digest
        del _registered[name]
        raise ProbeError(
            "no_runtime",
            f"the library of {name}, '{path}', does not load into onnxruntime {onnxruntime.__version__}: "
            f"{first_line(error)}",
        ) from error
    return digest


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _package(provider: Provider) -> Dict[str, str]:
    package = provider.settings.package
    if package is None:
        return {}
    try:
        return {"package": f"{PACKAGES[package]} {metadata.version(PACKAGES[package])}"}
    except metadata.PackageNotFoundError:
        return {"package": PACKAGES[package]}


def _facts(device: Any) -> Dict[str, str]:
    """What a provider says of itself and of a device, the device's kind and maker first."""
    hardware = device.device
    said: List[Mapping[str, str]] = [dict(hardware.metadata), dict(device.ep_metadata)]
    facts = {str(key): str(text) for own in said for key, text in own.items()}
    return {**facts, "type": str(hardware.type.name).lower(), "vendor": str(hardware.vendor)}


def _words(device: Any) -> str:
    hardware = device.device
    return (
        f"{hardware.type.name} of {hardware.vendor or 'an unknown maker'} ({hardware.vendor_id}:{hardware.device_id})"
    )
