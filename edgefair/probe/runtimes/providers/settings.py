"""What a profile says of one execution provider beside its name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from edgefair.probe.runtimes.providers.allowed import check_options

# Always at hand for operators that no other provider takes.
CPU = "CPUExecutionProvider"
# Packages of plugins by the name to import, which a function `get_library_path` tells the library of, with the names
# to install them by. A bundle may name these alone: importing runs their code.
PACKAGES = {
    "onnxruntime_qnn": "onnxruntime-qnn",
    "onnxruntime_ep_openvino": "onnxruntime-ep-openvino",
    "onnxruntime_ep_webgpu": "onnxruntime-ep-webgpu",
    "onnxruntime_ep_nv_tensorrt_rtx": "onnxruntime-ep-nv-tensorrt-rtx",
    "onnxruntime_ep_mlx": "onnxruntime-ep-mlx",
}


@dataclass(frozen=True)
class ProviderSettings:
    """Of one provider.

    package, library: where a plugin comes from: a package of `PACKAGES`, or a shared library by its path; neither for
    a provider that is built into onnxruntime. options: as the provider takes them, sorted by name. device: facts that
    the device must have (type: cpu, gpu or npu; vendor; or what the provider itself says of it), sorted by name.
    """

    package: Optional[str] = None
    library: Optional[str] = None
    options: Tuple[Tuple[str, str], ...] = ()
    device: Tuple[Tuple[str, str], ...] = ()

    @property
    def is_plugin(self) -> bool:
        """Whether onnxruntime must be told of its library first."""
        return self.package is not None or self.library is not None

    def to_json(self) -> Dict[str, Any]:
        """What is not as usual: empty for a provider that is built in and has no options."""
        said: Dict[str, Any] = {"package": self.package, "library": self.library}
        said.update(options=dict(self.options), device=dict(self.device))
        return {key: value for key, value in said.items() if value}


BUILT_IN = ProviderSettings()


def settings_of(provider: str, said: Any) -> ProviderSettings:
    """From the `provider_settings` of a session.

    Raises:
        ValueError: of other types, both a package and a library, a package that is none of `PACKAGES`, a device of a
            provider that is built in, or options as `check_options` says.
    """
    unknown = sorted(set(_mapping(provider, said)) - {"package", "library", "options", "device"})
    if unknown:
        raise ValueError(f"provider {provider} has a setting '{unknown[0]}', which there is none of")
    package, library = said.get("package"), said.get("library")
    if not all(isinstance(text, (str, type(None))) for text in (package, library)):
        raise ValueError(f"provider {provider} has a package or a library that is no text")
    options, device = (_mapping(provider, said.get(key, {})) for key in ("options", "device"))
    made = ProviderSettings(package, library, tuple(sorted(options.items())), tuple(sorted(device.items())))
    if not all(isinstance(text, str) for pair in (*made.options, *made.device) for text in pair):
        raise ValueError(f"provider {provider} has options or a device with values that are no texts")
    if package is not None and library is not None:
        raise ValueError(f"provider {provider} has a package and a library, and comes from one of them")
    if package is not None and package not in PACKAGES:
        raise ValueError(
            f"package '{package}' of {provider} is none of {', '.join(PACKAGES)}: name its library instead"
        )
    if device and not made.is_plugin:
        raise ValueError(f"provider {provider} is built in and chooses no device: use its options")
    check_options(provider, options, is_plugin=made.is_plugin)
    return made


def check_order(providers: List[str]) -> None:
    """The CPU takes every node, so what stands behind it gets none.

    Raises:
        ValueError: a provider behind the CPU's, or one twice.
    """
    if len(set(providers)) != len(providers):
        raise ValueError(f"`providers` names one twice: {', '.join(providers)}")
    if CPU in providers[:-1]:
        raise ValueError(f"{CPU} stands before {providers[providers.index(CPU) + 1]}, which would compute nothing")


def _mapping(provider: str, said: Any) -> Mapping[str, Any]:
    if not isinstance(said, Mapping):
        raise ValueError(f"provider {provider} has settings that are no object")
    return said


@dataclass(frozen=True)
class Provider:
    """A provider of a session by its name, with its settings."""

    name: str
    settings: ProviderSettings = field(default=BUILT_IN)


def providers_of(options: Mapping[str, Any]) -> List[Provider]:
    """The providers of a session's options, in order: `providers`, and `provider_settings` by name, if any.

    Raises:
        ValueError: as `settings_of` and `check_order`, or settings of a provider that the session has not.
    """
    names, said = list(options["providers"]), options.get("provider_settings") or {}
    check_order(names)
    if not isinstance(said, Mapping) or set(said) - set(names):
        raise ValueError("the session has settings of a provider that is none of its own")
    return [Provider(name, settings_of(name, said.get(name, {}))) for name in names]
