"""How a model was run where it was judged, and so how it must be run on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence, Tuple

from edgefair.probe.device import saturates_int8
from edgefair.probe.runtimes.onnxruntime import LEVELS, check_entries

PROVIDER = "CPUExecutionProvider"
# The runtime and the providers that a bundle is loaded with.
LOADED_WITH = ("onnxruntime", (PROVIDER,))
# What onnxruntime can be told at all.
MOST_THREADS = 2**31 - 1
AGAIN = "it was exported by an older edgefair: export it again"


@dataclass(frozen=True)
class Session:
    """Settings of a session.

    runtime: its name. config: session entries of the profile, sorted by name. threads: of one inference.
    """

    runtime: str
    providers: Tuple[str, ...]
    optimization: str
    config: Tuple[Tuple[str, str], ...]
    threads: int

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
        threads = said.get("threads")
        if (
            not all(isinstance(text, str) for text in texts)
            or type(threads) is not int
            or not 1 <= threads <= MOST_THREADS
        ):
            raise ValueError(f"its device has a session with wrong types: {said!r}")
        return cls(texts[0], tuple(providers), texts[1], tuple(sorted(config.items())), threads)

    @property
    def options(self) -> Mapping[str, Any]:
        """As `probe.runtimes.models.load` takes them."""
        return {
            "runtime": self.runtime,
            "providers": list(self.providers),
            "optimization": self.optimization,
            "config": dict(self.config),
            "threads": self.threads,
        }

    @property
    def hindrance(self) -> Optional[str]:
        """Why a device cannot open such a session, in words; None where it can."""
        if (self.runtime, self.providers) != LOADED_WITH:
            on = ", ".join(self.providers) or "no provider"
            return f"{self.runtime} on {on}, and a bundle is loaded with onnxruntime on {PROVIDER} alone"
        if self.optimization not in LEVELS:
            return f"optimization '{self.optimization}', which is none of {', '.join(LEVELS)}"
        try:
            check_entries(dict(self.config))
        except ValueError as error:
            return str(error)
        return None


@dataclass(frozen=True)
class DeviceClass:
    """What decides the numerics of INT8 kernels: devices of one class make the same decisions."""

    machine: Optional[str]
    saturates_int8: bool
    runtime: str
    providers: Tuple[str, ...]
    optimization: str
    config: Tuple[Tuple[str, str], ...]


def device_class(device: Mapping[str, Any]) -> DeviceClass:
    """Machine, whether it saturates INT8 sums, and the settings under which the model was judged there.

    Raises:
        ValueError: a fingerprint without them.
    """
    own, session = arithmetic(device), Session.of(device)
    return DeviceClass(*own, session.runtime, session.providers, session.optimization, session.config)


def arithmetic(device: Mapping[str, Any]) -> Tuple[Optional[str], bool]:
    """Machine, and whether it saturates INT8 sums: what of a device's class no setting changes.

    Raises:
        ValueError: a fingerprint of other types.
    """
    machine, flags = device.get("machine"), device.get("flags", [])
    if not isinstance(machine, (str, type(None))) or not isinstance(flags, list):
        raise ValueError("its device has a machine or flags of other types")
    return machine, saturates_int8({**device, "flags": [flag for flag in flags if isinstance(flag, str)]})


def session_for(here: Mapping[str, Any], judged: Sequence[Mapping[str, Any]], threads: Optional[int]) -> Session:
    """The settings of the first judged device that is like this one, and with as many threads if any number is given.

    here: this device's fingerprint. judged: fingerprints of the devices on which the model was judged.

    Raises:
        ValueError: no such device was judged, or none under settings that a bundle can be loaded with.
    """
    sessions = [Session.of(device) for device in judged if arithmetic(device) == arithmetic(here)]
    if not sessions:
        known = ", ".join(sorted({described(device) for device in judged}))
        raise ValueError(
            f"this device is {described(here)}, and the model was judged on {known}: its decisions may differ here"
        )
    usable = [session for session in sessions if session.hindrance is None]
    if not usable:
        raise ValueError(f"the settings the model was judged with cannot be used here: {sessions[0].hindrance}")
    chosen = [session for session in usable if threads in (None, session.threads)]
    if not chosen:
        counts = ", ".join(str(number) for number in sorted({session.threads for session in usable}))
        raise ValueError(f"{threads} threads were requested, and the model was judged with {counts} on such a device")
    return chosen[0]


def described(device: Mapping[str, Any]) -> str:
    """A device in words, as far as it decides numerics."""
    machine, saturates = arithmetic(device)
    return f"{machine}{' without VNNI' if saturates else ''}"
