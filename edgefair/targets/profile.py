"""Device profiles: one YAML file of `deploy/targets/` each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgefair.errors import UsageError, did_you_mean
from edgefair.probe.device import saturates_int8
from edgefair.resources import named_file
from edgefair.targets.emulation import emulated_cpu

QEMU = "qemu:"
ADDRESS = "ssh://host, ssh://user@host or ssh://user@host:port"
ADDRESS_PARTS = re.compile(
    r"((?P<user>[^:@/]+(?P<password>:[^@/]*)?@))?(?P<host>\[[0-9A-Fa-f:]+\]|[^:@/?#\[\]]+)(:(?P<port>\d+))?/?"
)
# No option of ssh's, and nothing that a shell could take for more than a name.
HOST = r"^([A-Za-z0-9_][A-Za-z0-9_.+-]*@)?[A-Za-z0-9_:][A-Za-z0-9_.:-]*$"


class LatencyRules(BaseModel):
    """How long latency is measured (MLPerf single stream: a minimum duration and a minimum count)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measured: bool = Field(True, description="False for emulated devices: their clock says nothing.")
    warmup: int = Field(50, ge=0, description="Queries before the first that counts.")
    min_queries: int = Field(1024, ge=1, description="Least number of queries per model.")
    min_seconds: float = Field(1.0, ge=0, description="Least duration per model.")
    max_seconds: float = Field(60.0, gt=0, description="Longest duration per model, even if queries are lacking.")


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


class TargetProfile(BaseModel):
    """A device and how models run on it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the target.")
    about: str = Field("", description="What the device is, in one line.")
    transport: Literal["local", "qemu", "ssh"] = Field(description="How the machine is reached.")
    cpu: str | None = Field(None, description="Processor that QEMU emulates: haswell, cortex-a72, ...")
    ssh: SshSettings | None = Field(None, description="The machine of transport ssh.")
    runtime: Literal["onnxruntime", "tensorrt"] = Field("onnxruntime", description="What runs the model there.")
    threads: int = Field(1, ge=1, description="Threads of one inference.")
    providers: tuple[str, ...] = Field(("CPUExecutionProvider",), description="Execution providers, in order.")
    optimization: Literal["disable", "basic", "extended", "all"] = Field("all", description="Graph optimization.")
    config: dict[str, str] = Field(default_factory=dict, description="onnxruntime session config entries.")
    device: DeviceClass = Field(default_factory=DeviceClass, description="What the device must be.")
    reduce_range: Literal["auto"] | bool = Field("auto", description="7-bit INT8 weights for this processor.")
    latency: LatencyRules = Field(default_factory=LatencyRules, description="How latency is measured.")

    @model_validator(mode="after")
    def _fits_its_transport(self) -> Self:
        if (self.transport == "qemu") != (self.cpu is not None):
            raise ValueError("`cpu` belongs to transport qemu, and transport qemu needs it")
        if (self.transport == "ssh") != (self.ssh is not None):
            raise ValueError("`ssh` belongs to transport ssh, and transport ssh needs it")
        if self.transport == "qemu" and self.latency.measured:
            raise ValueError("an emulator's clock says nothing about a device: set `latency: {measured: false}`")
        return self

    @property
    def emulated(self) -> str | None:
        """What emulates the device; None for a real one."""
        return None if self.cpu is None else f"QEMU, -cpu {self.cpu}"


def load_profile(name_or_path: str) -> TargetProfile:
    """A profile by name, path or address.

    Args:
        name_or_path: a shipped profile (`qemu:CPU` is short for `qemu-CPU`), the path of a .yaml file,
            `ssh://[user@]host[:port]`, or PROFILE=ssh://...: a profile's settings on that machine.

    Raises:
        UsageError: no such target, or a file that is not a profile.
    """
    base, found, address = name_or_path.rpartition("ssh://")
    if found:
        return _behind_ssh(name_or_path, base, address)
    if name_or_path.startswith(QEMU):
        emulated_cpu(name_or_path.removeprefix(QEMU))
    path = named_file("deploy/targets", name_or_path.replace(QEMU, "qemu-", 1), what="target")
    try:
        raw = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"target profile '{path}' cannot be read: {' '.join(str(error).split())}") from error
    try:
        return TargetProfile.model_validate(raw)
    except ValidationError as error:
        raise _explained(error, path) from error


def _behind_ssh(name: str, base: str, address: str) -> TargetProfile:
    """A machine by its address, with the settings of another profile if one stands before it."""
    parts = ADDRESS_PARTS.fullmatch(address)
    if parts is None:
        raise UsageError(f"target '{name}' is no address", expected=ADDRESS)
    if parts["password"] is not None:
        raise UsageError("a target's address holds a password", expected=ADDRESS, fix="use a key (`ssh-copy-id`)")
    settings: dict[str, Any] = {"transport": "local"}
    if base:
        profile = load_profile(base.removesuffix("="))
        if profile.emulated is not None:
            raise UsageError(f"target '{name}': '{profile.name}' is emulated and has no address")
        settings = profile.model_dump(exclude_unset=True)
    ssh = {
        **(settings.get("ssh") or {}),
        "host": (parts["user"] or "") + parts["host"].strip("[]"),
        "port": parts["port"],
    }
    try:
        return TargetProfile.model_validate({**settings, "name": name, "transport": "ssh", "ssh": ssh})
    except ValidationError as error:
        raise UsageError(f"target '{name}' is no address", expected=ADDRESS) from error


# Models of the profile by the key they stand under.
SECTIONS: Mapping[str, type[BaseModel]] = {
    "": TargetProfile,
    "latency": LatencyRules,
    "device": DeviceClass,
    "ssh": SshSettings,
}


def _explained(error: ValidationError, path: Path) -> UsageError:
    first = error.errors(include_url=False)[0]
    *section, last = [str(part) for part in first["loc"]] or [""]
    key = ".".join([*section, last])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = list(SECTIONS[section[0] if section else ""].model_fields)
        return UsageError(
            f"target profile '{path}': unknown key '{key}'{did_you_mean(last, known)}",
            expected=f"one of {', '.join(known)}",
        )
    return UsageError(f"target profile '{path}': {key}: {message} (found {first.get('input')!r})")
