"""What the host must know of a runtime."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefair.errors import EdgefairError
from edgefair.probe.formats import format_of
from edgefair.probe.formats.base import FileFormat
from edgefair.probe.runtimes import runtime_named
from edgefair.progress import Progress
from edgefair.targets.fault import Fault
from edgefair.targets.fingerprint import OF_PROCESSOR
from edgefair.targets.loaded import LoadedModel, unloadable
from edgefair.targets.support import ANYTHING, Support


@dataclass(frozen=True)
class Kernels:
    """Whose kernels compute a graph in the end, and what file they take.

    Attributes:
        vendor: as messages name it.
        recipe: what they change in any `CalibrationRecipe`: where quantizers go, and the type of activations.
        lacks: low precisions that they do not have, by their names in `compress.low_precision`.
        unsigned_weights: whether INT8 weights may be unsigned.
        support: what they are known not to compute, or to compute wrongly.
        build_s: how long making a model ready may take, once per model and again for each new size of a batch.
    """

    vendor: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    lacks: frozenset[str] = frozenset()
    unsigned_weights: bool = True
    support: Support = ANYTHING
    build_s: float = 0.0


@dataclass(frozen=True)
class HostRuntime(ABC):
    """A runtime as the host sees it.

    Attributes:
        name: as profiles name it, and under which a fingerprint holds its version.
        identity: facts of a fingerprint on which its outputs depend, beside the processor.
        engine_facts: what a device says of what it built out of a model or found to run it, and the types of it;
            empty where a runtime builds nothing.
        engine_identity: as `identity`, of `engine_facts`.
        engine_shown: those of them that belong to the name of what ran a model.
        packages: what its Python needs beside numpy, where a device's is made.
        keeps_engine: whether it builds an engine once and finds it later: then no load is like the first.
    """

    name: str
    identity: tuple[str, ...]
    engine_facts: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    engine_identity: tuple[str, ...] = ()
    engine_shown: tuple[str, ...] = ()
    packages: tuple[str, ...] = ("onnxruntime",)
    keeps_engine: bool = False

    @property
    def format(self) -> FileFormat:
        """Of the files that it runs."""
        return runtime_named(self.name).format

    def reads(self, content: bytes) -> bool:
        """Whether a file begins as those that it runs do."""
        return format_of(content) is self.format

    def identity_of(self, device: Mapping[str, Any]) -> dict[str, Any]:
        """What outputs depend on beside the model and the profile, of a fingerprint after a model was loaded."""
        engine = device.get("engine", {})
        found = {key: device.get(key) for key in (*OF_PROCESSOR, *self.identity)}
        return found | {f"engine.{key}": engine.get(key) for key in self.engine_identity}

    def changed(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> Fault | None:
        """How the device that answers now is another one than before."""
        for key in (*OF_PROCESSOR, *self.identity):
            if now.get(key) != before.get(key):
                found = f"another device answered after the connection broke: {key} is {now.get(key)}"
                return Fault(found, expected=str(before.get(key)))
        return None

    def rebuilt(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> Fault | None:
        """How what the device built or found to run a model is another than before."""
        for key in self.engine_identity:
            if now.get(key) != before.get(key):
                found = f"the model is run by something else after the connection broke: {key} is {now.get(key)}"
                return Fault(found, expected=str(before.get(key)))
        return None

    @abstractmethod
    def kernels(self, providers: Sequence[str]) -> Kernels:
        """Whose kernels compute a graph under these execution providers."""

    def support(self, providers: Sequence[str]) -> Support:
        """What a model must do without under these execution providers, whatever computes it."""
        return self.kernels(providers).support

    def runs_on(self, providers: Sequence[str]) -> str:
        """What a fingerprint says that models run on."""
        return self.name

    def check_config(self, config: Mapping[str, str]) -> None:  # noqa: B027 - others are checked on the device
        """Refuse settings that no device may be sent.

        Raises:
            ValueError: one of them.
        """

    def check_session(self, session: Mapping[str, Any]) -> None:
        """Refuse settings of a session that the runtime has not: here those of providers, and a fixed batch.

        Raises:
            ValueError: one of them.
        """
        for key in ("provider_settings", "batch"):
            if key in session:
                raise ValueError(f"runtime {self.name} has no {key.replace('_', ' ')}")

    def config(self, given: Mapping[str, str], *, threads: int) -> dict[str, str]:
        """The settings that a device is sent: those of a profile, and what must hold between two models."""
        return dict(given)

    def prepare(self, progress: Progress) -> None:  # noqa: B027 - most are installed beside edgefair
        """Get what this machine's runs of it need and `edgefair target prepare` can bring.

        Raises:
            MeasurementError: something that it takes is missing.
        """

    @abstractmethod
    def lacks(self, session: Mapping[str, Any]) -> str | None:
        """What is known to be missing on this machine for such a session, without starting anything; None if nothing
        is.
        """

    def missing(self, device: Mapping[str, Any]) -> Fault | None:
        """What a device that has just described itself must have and has not."""
        return None

    @abstractmethod
    def elsewhere(self, model: LoadedModel, providers: Sequence[str]) -> Fault | None:
        """How a device runs a model by something else than the profile says; None where it does not."""

    def unlike_asked(self, model: LoadedModel, config: Mapping[str, str]) -> Fault | None:
        """How a device runs a model otherwise than the profile's `config` says; None where it does not."""
        return None

    def told(self, model: LoadedModel) -> tuple[str, ...]:
        """What a reader of the verdict must know of how it runs a model."""
        return ()

    def unloadable(self, path: Path, why: str, *, target: str, device: Mapping[str, Any]) -> EdgefairError:
        """The error for a model that a device's runtime cannot load, with what it said."""
        return unloadable(path, why, self.format)
