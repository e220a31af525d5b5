"""Device profiles: one YAML file of `deploy/targets/` each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgefair.errors import UsageError, did_you_mean
from edgefair.mistakes import UNKNOWN, first_mistake
from edgefair.probe.regular import read_regular
from edgefair.probe.runtimes.session import check_entries
from edgefair.resources import named_file
from edgefair.targets.sections import Budgets, ContainerSettings, DeviceClass, LatencyRules, SshSettings
from edgefair.targets.transports.emulation import emulated_cpu
from edgefair.yaml_text import MAX_BYTES, parse_yaml

# Execution providers of onnxruntime that hand the graph to TensorRT.
TENSORRT_PROVIDERS = frozenset({"TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider"})
QEMU, CONTAINER = "qemu:", "container:"
ADDRESS = "ssh://host, ssh://user@host or ssh://user@host:port"
ADDRESS_PARTS = re.compile(
    r"((?P<user>[^:@/]+(?P<password>:[^@/]*)?@))?(?P<host>\[[0-9A-Fa-f:]+\]|[^:@/?#\[\]]+)(:(?P<port>\d+))?/?"
)


class TargetProfile(BaseModel):
    """A device and how models run on it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the target.")
    about: str = Field("", description="What the device is, in one line.")
    transport: Literal["local", "qemu", "ssh", "container"] = Field(description="How the machine is reached.")
    cpu: str | None = Field(None, description="Processor that QEMU emulates: haswell, cortex-a72, ...")
    ssh: SshSettings | None = Field(None, description="The machine of transport ssh.")
    container: ContainerSettings | None = Field(None, description="The image of transport container.")
    runtime: Literal["onnxruntime", "tensorrt"] = Field("onnxruntime", description="What runs the model there.")
    threads: int = Field(1, ge=1, description="Threads of one inference.")
    providers: tuple[str, ...] = Field(("CPUExecutionProvider",), description="Execution providers, in order.")
    optimization: Literal["disable", "basic", "extended", "all"] = Field("all", description="Graph optimization.")
    config: dict[str, str] = Field(default_factory=dict, description="onnxruntime session entries that read no file.")
    device: DeviceClass = Field(default_factory=DeviceClass, description="What the device must be.")
    reduce_range: Literal["auto"] | bool = Field("auto", description="7-bit INT8 weights for this processor.")
    latency: LatencyRules = Field(default_factory=LatencyRules, description="How latency is measured.")
    budgets: Budgets = Field(default_factory=Budgets, description="What a model may cost there.")

    @model_validator(mode="after")
    def _fits_its_transport(self) -> Self:
        if (self.transport == "qemu") != (self.cpu is not None):
            raise ValueError("`cpu` belongs to transport qemu, and transport qemu needs it")
        if (self.transport == "ssh") != (self.ssh is not None):
            raise ValueError("`ssh` belongs to transport ssh, and transport ssh needs it")
        if (self.transport == "container") != (self.container is not None):
            raise ValueError("`container` belongs to transport container, and transport container needs it")
        if self.runtime == "onnxruntime":
            check_entries(self.config)
        if self.emulated is not None and self.latency.measured:
            raise ValueError("an emulator's clock says nothing about a device: set `latency: {measured: false}`")
        return self

    @property
    def tensorrt(self) -> bool:
        """Whether TensorRT runs the model, by itself or inside onnxruntime."""
        return self.runtime == "tensorrt" or not TENSORRT_PROVIDERS.isdisjoint(self.providers)

    @property
    def emulated(self) -> str | None:
        """What emulates the device; None for a real one."""
        if self.container is not None and self.container.foreign:
            return f"this machine, for a container of {self.container.architecture}"
        return None if self.cpu is None else f"QEMU, -cpu {self.cpu}"

    @property
    def facts(self) -> dict[str, Any]:
        """What a fingerprint holds of a target that the host knows, whatever the device says."""
        found: dict[str, Any] = {
            "runs_on": self.providers[0] if self.runtime == "onnxruntime" else self.runtime,
            "threads": self.threads,
            "session": {
                "runtime": self.runtime,
                "providers": list(self.providers),
                "optimization": self.optimization,
                "config": dict(self.config),
                "threads": self.threads,
            },
        }
        if self.container is not None:
            found["container"] = self.container.identity
        return found if self.emulated is None else {**found, "emulated": self.emulated}


def load_profile(name_or_path: str) -> TargetProfile:
    """A profile by name, path or address.

    Args:
        name_or_path: a shipped profile (`qemu:CPU` is short for `qemu-CPU`), the path of a .yaml file,
            `ssh://[user@]host[:port]`, PROFILE=ssh://... (a profile's settings on that machine), or `container:IMAGE`.

    Raises:
        UsageError: no such target, or a file that is not a profile.
    """
    base, found, address = name_or_path.rpartition("ssh://")
    if found:
        return _behind_ssh(name_or_path, base, address)
    if name_or_path.startswith(CONTAINER):
        return _in_container(name_or_path)
    if name_or_path.startswith(QEMU):
        emulated_cpu(name_or_path.removeprefix(QEMU))
    path = named_file("deploy/targets", name_or_path.replace(QEMU, "qemu-", 1), what="target")
    try:
        raw = parse_yaml(read_regular(path, most=MAX_BYTES).decode())
    except (OSError, ValueError) as error:
        raise UsageError(f"target profile '{path}' cannot be read: {error}") from error
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


def _in_container(name: str) -> TargetProfile:
    """An image by its name."""
    settings = {"image": name.removeprefix(CONTAINER)}
    try:
        return TargetProfile.model_validate({"name": name, "transport": "container", "container": settings})
    except ValidationError as error:
        raise UsageError(f"target '{name}' names no image", expected="for example container:my-board:1.2") from error


# Models of the profile by the key they stand under.
SECTIONS: Mapping[str, type[BaseModel]] = {
    "": TargetProfile,
    "latency": LatencyRules,
    "budgets": Budgets,
    "device": DeviceClass,
    "ssh": SshSettings,
    "container": ContainerSettings,
}


def _explained(error: ValidationError, path: Path) -> UsageError:
    first = first_mistake(error, unknown_first=True)
    if first.kind == UNKNOWN:
        *section, last = first.place
        known = list(SECTIONS[section[0] if section else ""].model_fields)
        return UsageError(
            f"target profile '{path}': unknown key '{first.key}'{did_you_mean(last, known)}",
            expected=f"one of {', '.join(known)}",
        )
    return UsageError(f"target profile '{path}': {first.key}: {first.why} (found {first.found!r})")
