"""The sections of a device profile."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgefair.probe.device import saturates_int8

# No option of ssh's, and nothing that a shell could take for more than a name.
HOST = r"^([A-Za-z0-9_][A-Za-z0-9_.+-]*@)?[A-Za-z0-9_:][A-Za-z0-9_.:-]*$"
# No option of the engine's.
IMAGE = r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$"
# As container engines name the kinds of processors.
ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64"}


class LatencyRules(BaseModel):
    """How long latency is measured (MLPerf single stream: a minimum duration and a minimum count)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    measured: bool = Field(True, description="False for emulated devices: their clock says nothing.")
    warmup: int = Field(50, ge=0, description="Queries before the first that counts.")
    min_queries: int = Field(1024, ge=1, description="Least number of queries per model.")
    min_seconds: float = Field(1.0, ge=0, description="Least duration per model.")
    max_seconds: float = Field(60.0, gt=0, description="Longest duration per model, even if queries are lacking.")
    min_effective_queries: int = Field(
        64,
        ge=0,
        description="Independent queries that those of a model must be worth before it ends; a p90 is judged from 64.",
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


class DeviceClass(BaseModel):
    """What a device must be for its measurement to stand for the profile. What is not said may be anything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine: str | None = Field(None, description="Kind of processor, as `uname -m` says (x86_64, aarch64).")
    flags: tuple[str, ...] = Field((), description="Instruction sets that it must have, as /proc/cpuinfo names them.")
    saturates_int8: bool | None = Field(
        None, description="Whether its INT8 kernels saturate 16-bit sums (x86 without VNNI)."
    )

    def mismatch(self, device: Mapping[str, Any]) -> tuple[str, str] | None:
        """The first thing that a device is not (what was found, and expected), or None."""
        machine, flags = device.get("machine"), device.get("flags", ())
        if self.machine not in {None, machine}:
            return f"the device is {machine}", str(self.machine)
        missing = [flag for flag in self.flags if flag not in flags]
        if missing:
            return f"the device lacks {', '.join(missing)}", f"a processor with {', '.join(self.flags)}"
        if self.saturates_int8 not in {None, saturates_int8(device)}:
            named = {True: "no VNNI (its INT8 kernels may saturate)", False: "exact INT8 kernels (VNNI, or ARM)"}
            return f"the device has {named[not self.saturates_int8]}", f"one with {named[self.saturates_int8]}"
        return None


class SshSettings(BaseModel):
    """How a machine behind OpenSSH is reached, and where the probe finds a Python there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(pattern=HOST, description="host or user@host, or a Host entry of the ssh configuration.")
    port: int | None = Field(None, ge=1, le=65535, description="Default: the ssh configuration's.")
    config: Path | None = Field(None, description="An OpenSSH client configuration in place of the user's own.")
    folder: str = Field("~/.cache/edgefair", pattern="^(~/|/)", description="Where the device keeps what was sent.")
    python: str | None = Field(
        None,
        pattern="^/",
        description="A Python there with numpy and onnxruntime. Default: a virtual environment is made.",
    )
    packages: tuple[str, ...] = Field(
        (), description="What is installed into it. Default: numpy and this machine's version of onnxruntime."
    )


class ContainerSettings(BaseModel):
    """The image that a local container engine runs the probe in. It needs Python 3.9+ with numpy and onnxruntime."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = Field(pattern=IMAGE, description="Its name, with a tag or a digest, as the engine knows it.")
    engine: Literal["docker", "podman"] | None = Field(None, description="Default: the one that has the image.")
    id: str | None = Field(
        None, pattern="^sha256:[0-9a-f]{64}$", description="The engine's digest of the image, if it must be that one."
    )
    architecture: str | None = Field(
        None, description="What the image must be made for, as engines name it (amd64, arm64), if it matters."
    )
    python: str = Field("python3", pattern="^[^-]", description="The Python in it that runs the probe.")
    cpus: float | None = Field(None, gt=0, allow_inf_nan=False, description="Processors' time that it may use.")
    memory: str | None = Field(
        None, pattern="^[1-9][0-9]*[kmg]$", description="Memory that it may use, model file included: 512m."
    )

    @property
    def foreign(self) -> bool:
        """Whether the image is known to be made for another kind of processor than this machine's."""
        here = ARCHITECTURES.get(platform.machine(), platform.machine())
        return self.architecture not in {None, here}

    @property
    def identity(self) -> dict[str, Any]:
        """What a verdict is bound to, as the fingerprint holds it."""
        return self.model_dump(exclude={"python"}, exclude_none=True)
