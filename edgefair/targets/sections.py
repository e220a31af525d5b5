"""The sections of a device profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from edgefair.probe.device import saturates_int8
from edgefair.probe.runtimes.providers.settings import PACKAGES, ProviderSettings, settings_of
from edgefair.targets.fault import Fault


def one_of(names: tuple[str, ...]) -> BeforeValidator:
    """A name of a table, refused as pydantic refuses what is none of a Literal's."""
    *first, last = [repr(name) for name in names]
    expected = f"{', '.join(first)} or {last}"

    def check(name: object) -> object:
        if name not in names:
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return name

    return BeforeValidator(check)


class LatencyRules(BaseModel):
    """How long latency is measured (MLPerf single stream: a minimum duration and a minimum count)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    measured: bool = Field(True, description="False for emulated devices: they do not measure latency.")
    warmup: int = Field(50, ge=0, description="Warm-up queries, which are not counted.")
    min_queries: int = Field(1024, ge=1, description="Least number of queries per model.")
    min_seconds: float = Field(1.0, ge=0, description="Least duration per model.")
    max_seconds: float = Field(
        60.0, gt=0, description="Longest duration per model, even if that gives too few queries."
    )
    min_effective_queries: int = Field(
        64,
        ge=0,
        description="Independent queries that those of a model must be worth before it ends, where latency is judged; "
        "a p90 is judged from 64.",
    )

    @property
    def rule(self) -> dict[str, Any]:
        """What query times must fulfil to be judged by."""
        return self.model_dump(include={"min_queries", "min_seconds", "max_seconds"})


class Budgets(BaseModel):
    """What a model may cost on this device: gates that hold here beside the policy's; the stricter of both decides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_latency_p90_ms: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Largest 90th percentile of latency, batch 1."
    )
    max_size_bytes: int | None = Field(None, ge=1, description="Largest model file.")
    max_load_ms: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Longest time to load the model, from the file to a session."
    )
    max_peak_memory_mb: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Most memory (10^6 bytes) that loading the model and querying it adds to a process.",
    )


class ProviderSection(BaseModel):
    """An execution provider of onnxruntime's: its name alone where it is built in and set as usual."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="Its name, as onnxruntime says it.")
    package: str | None = Field(
        None, description=f"The Python package on the device that brings it as a plugin: {', '.join(PACKAGES)}."
    )
    library: str | None = Field(None, description="Or the path of its library on the device.")
    options: dict[str, str] = Field(
        default_factory=dict, description="Its options, as text; those that read or write files are refused."
    )
    device: dict[str, str] = Field(
        default_factory=dict,
        description="Which of its devices, if it finds several: type (cpu, gpu, npu), vendor, or what it says of them.",
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, said: Any) -> Any:
        return {"name": said} if isinstance(said, str) else said

    @property
    def settings(self) -> ProviderSettings:
        """As the probe takes them.

        Raises:
            ValueError: see `settings_of`.
        """
        return settings_of(self.name, {key: getattr(self, key) for key in ("package", "library", "options", "device")})

    @model_serializer
    def _as_written(self) -> str | dict[str, Any]:
        said = self.settings.to_json()
        return {"name": self.name, **said} if said else self.name


class DeviceClass(BaseModel):
    """What a device must be for its measurement to stand for the profile. What is not said may be anything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine: str | None = Field(None, description="Kind of processor, as `uname -m` says (x86_64, aarch64).")
    flags: tuple[str, ...] = Field((), description="Instruction sets that it must have, as /proc/cpuinfo names them.")
    saturates_int8: bool | None = Field(
        None, description="Whether its INT8 kernels saturate 16-bit sums (x86 without VNNI)."
    )

    def mismatch(self, device: Mapping[str, Any]) -> Fault | None:
        """The first thing that a device is not."""
        machine, flags = device.get("machine"), device.get("flags", ())
        if self.machine not in {None, machine}:
            return _other(f"the device is {machine}", str(self.machine))
        if self.flags and "flags" not in device:
            return _other("the device's instruction sets cannot be read", f"a processor with {', '.join(self.flags)}")
        missing = [flag for flag in self.flags if flag not in flags]
        if missing:
            return _other(f"the device lacks {', '.join(missing)}", f"a processor with {', '.join(self.flags)}")
        if self.saturates_int8 not in {None, saturates_int8(device)}:
            named = {True: "no VNNI (its INT8 kernels may saturate)", False: "exact INT8 kernels (VNNI, or ARM)"}
            return _other(f"the device has {named[not self.saturates_int8]}", f"one with {named[self.saturates_int8]}")
        return None


def _other(found: str, expected: str) -> Fault:
    return Fault(found, expected, fix="measure on such a device, or choose another target")
