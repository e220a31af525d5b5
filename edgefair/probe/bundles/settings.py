"""How a model was run where it was judged, and so how it must be run on a device."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from edgefair.probe.device import saturates_int8, unknown_processor
from edgefair.probe.runtimes import NAMES, opens_bundles, runtime_named
from edgefair.probe.runtimes.onnxruntime import check_entries
from edgefair.probe.runtimes.providers.settings import CPU, ProviderSettings, check_order, settings_of

# What runs a bundle's model unless its report says otherwise. Its own kernels are known by what they answer.
USUAL = "onnxruntime"
# What onnxruntime can be told at all.
MOST_THREADS = 2**31 - 1
AGAIN = "it was exported by an older edgefair: export it again"
# What of the built or found (`engine` of a fingerprint) is a model's own. The rest is what a device must have alike:
# two versions of one provider decide differently on one processor.
OF_THE_MODEL = ("sha256", "bytes", "nodes")


@dataclass(frozen=True)
class Session:
    """Settings of a session.

    runtime: its name. config: session entries of the profile, sorted by name. threads: of one inference.
    provider_settings: of the providers that are not set as usual, sorted by name. batch: rows of a batch, if fixed.
    """

    runtime: str
    providers: Tuple[str, ...]
    optimization: str
    config: Tuple[Tuple[str, str], ...]
    threads: int
    provider_settings: Tuple[Tuple[str, ProviderSettings], ...] = ()
    batch: Optional[int] = None

    @classmethod
    def of(cls, device: Mapping[str, Any]) -> "Session":
        """The settings that a judged device's fingerprint holds.

        Raises:
            ValueError: none, or of other types.
        """
        said = device.get("session")
        if not isinstance(said, Mapping):
            raise ValueError(f"its device has no session; {AGAIN}")
        providers, config = said.get("providers"), said.get("config")
        if not isinstance(providers, list) or not isinstance(config, Mapping):
            raise ValueError("its device has a session without providers or config")
        texts = [said.get("runtime"), said.get("optimization"), *providers, *config.keys(), *config.values()]
        threads, batch, settings = said.get("threads"), said.get("batch"), said.get("provider_settings", {})
        if (
            not all(isinstance(text, str) for text in texts)
            or type(threads) is not int
            or not 1 <= threads <= MOST_THREADS
            or (batch is not None and (type(batch) is not int or batch != 1))
            or not isinstance(settings, Mapping)
            or not set(settings) <= set(providers)
        ):
            raise ValueError(f"its device has a session with wrong types: {said!r}")
        read = tuple(sorted((name, settings_of(name, own)) for name, own in settings.items()))
        return cls(texts[0], tuple(providers), texts[1], tuple(sorted(config.items())), threads, read, batch)

    def options(self, libraries: Mapping[str, str]) -> Mapping[str, Any]:
        """As `probe.runtimes.models.load` takes them.

        libraries: paths of plugins on this device, by provider; a report's own paths are not followed.
        """
        settings: Dict[str, Any] = {name: own.to_json() for name, own in self.provider_settings}
        for name, own in settings.items():
            if "library" in own:
                own["library"] = libraries[name]
        return {
            "runtime": self.runtime,
            "providers": list(self.providers),
            "provider_settings": settings,
            "optimization": self.optimization,
            "batch": self.batch,
            "config": dict(self.config),
            "threads": self.threads,
        }

    def hindrance(self, libraries: Mapping[str, str]) -> Optional[str]:
        """Why a device cannot open such a session, in words; None where it may try.

        libraries: as in `options`.
        """
        if not opens_bundles(self.runtime):
            on = ", ".join(self.providers) or "no provider"
            return (
                f"{self.runtime} on {on}, and a bundle is loaded with {', '.join(filter(opens_bundles, NAMES))} alone"
            )
        levels = runtime_named(self.runtime).levels
        if self.optimization not in levels:
            return f"optimization '{self.optimization}', which is none of {', '.join(levels)}"
        for name, own in self.provider_settings:
            if own.library is not None and name not in libraries:
                return f"{name} of a library that lay at '{own.library}': name it here, libraries={{'{name}': PATH}}"
        if self.runtime != USUAL:
            return None
        try:
            check_entries(dict(self.config))
            check_order(list(self.providers))
        except ValueError as error:
            return str(error)
        return None


def other_version(runtime: str, judged: Mapping[str, Any]) -> Optional[str]:
    """Why this device has not the runtime that a model was judged with; None where it has.

    Two versions of a runtime decide differently, but for `USUAL`.

    judged: the fingerprint of the device on which the model was judged.
    """
    if runtime == USUAL or not opens_bundles(runtime):
        return None
    here = runtime_named(runtime).facts()
    if not here:
        return f"{runtime}, which is not installed here"
    other = [key for key in sorted(here) if here[key] != judged.get(key)]
    return f"{other[0]} {judged.get(other[0])}, and {here[other[0]]} is installed here" if other else None


@dataclass(frozen=True)
class DeviceClass:
    """What decides the numerics of a model's kernels: devices of one class make the same decisions.

    bound_to: what beside the processor ran the model, each with its version: see `bound_to`.
    """

    machine: Optional[str]
    saturates_int8: bool
    runtime: str
    providers: Tuple[str, ...]
    optimization: str
    config: Tuple[Tuple[str, str], ...]
    provider_settings: Tuple[Tuple[str, ProviderSettings], ...]
    batch: Optional[int]
    bound_to: Tuple[Tuple[str, str], ...]


def device_class(device: Mapping[str, Any]) -> DeviceClass:
    """Machine, whether it saturates INT8 sums, the settings under which the model was judged there, and versions.

    Raises:
        ValueError: a fingerprint without them.
    """
    own, session = arithmetic(device), Session.of(device)
    return DeviceClass(
        *own,
        session.runtime,
        session.providers,
        session.optimization,
        session.config,
        session.provider_settings,
        session.batch,
        tuple(sorted(bound_to(device.get("engine", {})).items())),
    )


def bound_to(engine: Any) -> Dict[str, str]:
    """Facts of what a device built or found to run a model, but for those that are the model's own.

    Nested ones by their path: `providers.QNNExecutionProvider.package`. Empty for onnxruntime's own CPU kernels.

    Raises:
        ValueError: of other types.
    """
    if not isinstance(engine, Mapping):
        raise ValueError("its device has an engine of another type")
    return dict(_flat({key: value for key, value in engine.items() if key not in OF_THE_MODEL}))


def _flat(facts: Mapping[str, Any]) -> List[Tuple[str, str]]:
    found: List[Tuple[str, str]] = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            found += [(f"{key}.{inner}", text) for inner, text in _flat(value)]
        else:
            found.append((str(key), value if isinstance(value, str) else json.dumps(value, sort_keys=True)))
    return found


def arithmetic(device: Mapping[str, Any]) -> Tuple[Optional[str], bool]:
    """Machine, and whether it saturates INT8 sums: what of a device's class no setting changes.

    Of an x86 processor whose instruction sets are unknown the machine is named with the processor.

    Raises:
        ValueError: a fingerprint of other types.
    """
    machine, flags = device.get("machine"), device.get("flags", [])
    if not isinstance(machine, (str, type(None))) or not isinstance(flags, list):
        raise ValueError("its device has a machine or flags of other types")
    unknown = unknown_processor(device)
    named = machine if unknown is None else f"{machine} ({unknown})"
    return named, saturates_int8({**device, "flags": [flag for flag in flags if isinstance(flag, str)]})


@dataclass(frozen=True)
class Judged:
    """How a model was run on one device that is like this one.

    engine: what that device built or found to run it. target: which of the judged ones it is, from 0.
    """

    session: Session
    engine: Mapping[str, Any]
    target: int = 0

    @property
    def hindrance(self) -> Optional[str]:
        """Why nobody can tell whether a device runs the model alike; None where it can be told."""
        providers = self.engine.get("providers", {}) if isinstance(self.engine, Mapping) else None
        others = [name for name in self.session.providers if name != CPU]
        unknown = [name for name in others if not isinstance(providers, Mapping) or name not in providers]
        return f"{unknown[0]} of a version that its report does not say; {AGAIN}" if unknown else None

    def unlike(self, engine: Mapping[str, Any]) -> Optional[str]:
        """The first thing by which what this device found to run the model is another than what was judged."""
        here, there = bound_to(engine), bound_to(self.engine)
        for key in sorted(here.keys() | there.keys()):
            if here.get(key) != there.get(key):
                return f"{key} is {here.get(key)} here, and the model was judged with {there.get(key)}"
        nodes, judged = engine.get("nodes", {}), self.engine.get("nodes", {})
        if nodes != judged:
            return f"its nodes run on {nodes} here, and they ran on {judged} where it was judged"
        return None


def judged_alike(
    here: Mapping[str, Any], judged: Sequence[Mapping[str, Any]], threads: Optional[int], libraries: Mapping[str, str]
) -> List[Judged]:
    """How the model was run on the judged devices that are like this one, in their order.

    here: this device's fingerprint. judged: fingerprints of the devices on which the model was judged. threads: as
    many, if any number is given. libraries: paths of plugins here, by provider.

    Raises:
        ValueError: no such device was judged, or none under settings that a bundle can be loaded with.
    """
    found = [
        Judged(Session.of(device), device.get("engine", {}), target)
        for target, device in enumerate(judged)
        if arithmetic(device) == arithmetic(here)
    ]
    if not found:
        known = ", ".join(sorted({described(device) for device in judged}))
        raise ValueError(
            f"this device is {described(here)}, and the model was judged on {known}: its decisions may differ here"
        )
    hindrances = [
        item.session.hindrance(libraries) or item.hindrance or other_version(item.session.runtime, judged[item.target])
        for item in found
    ]
    usable = [item for item, hindrance in zip(found, hindrances) if hindrance is None]
    if not usable:
        raise ValueError(f"the settings the model was judged with cannot be used here: {hindrances[0]}")
    chosen = [item for item in usable if threads in (None, item.session.threads)]
    if not chosen:
        counts = ", ".join(str(number) for number in sorted({item.session.threads for item in usable}))
        raise ValueError(f"{threads} threads were requested, and the model was judged with {counts} on such a device")
    return chosen


def described(device: Mapping[str, Any]) -> str:
    """A device in words, as far as it decides numerics."""
    machine, saturates = arithmetic(device)
    lacks = " without VNNI" if unknown_processor(device) is None else " with unknown instruction sets"
    return f"{machine}{lacks if saturates else ''}"
