"""Device profiles: one YAML file of `deploy/targets/` each."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from edgefair.errors import UsageError, did_you_mean
from edgefair.mistakes import UNKNOWN, first_mistake
from edgefair.probe.regular import read_regular
from edgefair.probe.runtimes import NAMES as RUNTIMES
from edgefair.probe.runtimes.providers.settings import CPU
from edgefair.resources import named_file
from edgefair.targets.runtimes import DEFAULT, HostRuntime, Kernels, host_runtime
from edgefair.targets.sections import Budgets, DeviceClass, LatencyRules, ProviderSection, one_of
from edgefair.targets.transports import NAMES as TRANSPORTS
from edgefair.targets.transports import transport_named
from edgefair.targets.transports.base import HERE
from edgefair.targets.transports.emulation import emulated_cpu
from edgefair.yaml_text import MAX_BYTES, parse_yaml

QEMU, CONTAINER, POOL = "qemu:", "container:", "pool:"
# Families of targets: `web:wasm` is the file web-wasm.yaml.
FAMILIES = (QEMU, "web:")
ADDRESS = "ssh://host, ssh://user@host or ssh://user@host:port"
ADDRESS_PARTS = re.compile(
    r"((?P<user>[^:@/]+(?P<password>:[^@/]*)?@))?(?P<host>\[[0-9A-Fa-f:]+\]|[^:@/?#\[\]]+)(:(?P<port>\d+))?/?"
)
# The section of its own that every transport's profiles have, if any.
OWN = {name: transport_named(name).section for name in TRANSPORTS}


# What a pool's own profile says, and what its members may say otherwise than each other.
OF_A_POOL = frozenset({"name", "about", "transport", "pool", "budgets"})
OF_A_MEMBER = frozenset({"name", "about", "transport", *(own.key for own in OWN.values() if own is not None)})


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the target.")
    about: str = Field("", description="What the device is, in one line.")
    transport: Annotated[str, one_of(TRANSPORTS)] = Field(description="How the machine is reached.")


_Reached = create_model(  # type: ignore[call-overload]
    "_Reached",
    __base__=_Target,
    **{own.key: (own.type | None, Field(None, description=own.about)) for own in OWN.values() if own is not None},
)


class TargetProfile(_Reached, _Target):
    """A device and how models run on it. Of the sections of `OWN` it has that of its transport."""

    runtime: Annotated[str, one_of(RUNTIMES)] = Field(DEFAULT, description="What runs the model there.")
    threads: int = Field(1, ge=1, description="Threads of one inference.")
    providers: tuple[ProviderSection, ...] = Field(
        (ProviderSection(name=CPU),), description="Execution providers, in order: names, or names with settings."
    )
    batch: Literal[1] | None = Field(
        None, description="Rows that the runtime compiles the model for, where it wants to know: one."
    )
    optimization: Literal["disable", "basic", "extended", "all"] = Field("all", description="Graph optimization.")
    config: dict[str, str] = Field(default_factory=dict, description="onnxruntime session entries that read no file.")
    device: DeviceClass = Field(default_factory=DeviceClass, description="What the device must be.")
    reduce_range: Literal["auto"] | bool = Field("auto", description="7-bit INT8 weights for this processor.")
    latency: LatencyRules = Field(default_factory=LatencyRules, description="How latency is measured.")
    budgets: Budgets = Field(default_factory=Budgets, description="What a model may cost there.")

    @model_validator(mode="after")
    def _fits_its_transport(self) -> Self:
        for name, own in OWN.items():
            if own is not None and (self.transport == name) != (getattr(self, own.key) is not None):
                raise ValueError(f"`{own.key}` belongs to transport {name}, and transport {name} needs it")
        self.host_runtime.check_config(self.config)
        self.host_runtime.check_session(self.facts["session"])
        if self.emulated is not None and self.latency.measured:
            raise ValueError("an emulator's clock does not measure latency: set `latency: {measured: false}`")
        return self

    @property
    def host_runtime(self) -> HostRuntime:
        """What the host knows of the runtime."""
        return host_runtime(self.runtime)

    @property
    def kernels(self) -> Kernels:
        """Whose kernels compute the model in the end."""
        return self.host_runtime.kernels(self.provider_names)

    @property
    def provider_names(self) -> tuple[str, ...]:
        """Of the execution providers, in order."""
        return tuple(item.name for item in self.providers)

    @property
    def settings(self) -> Any:
        """What it says of the way to the machine; None where there is nothing to say."""
        own = OWN[self.transport]
        return None if own is None else getattr(self, own.key)

    @property
    def emulated(self) -> str | None:
        """What emulates the device, or the devices of a pool; None for a real one."""
        if self.members:
            return load_profile(self.members[0]).emulated
        return transport_named(self.transport).emulates(self.settings)

    @property
    def members(self) -> tuple[str, ...]:
        """Targets that share its work, where it is a pool."""
        return transport_named(self.transport).members(self.settings)

    def load_members(self) -> list[TargetProfile]:
        """The profiles of `members`, each with the pool's rules of timing."""
        return [load_profile(name).model_copy(update={"latency": self.latency}) for name in self.members]

    @property
    def facts(self) -> dict[str, Any]:
        """What a fingerprint holds of how models run there, whatever the device says."""
        settings = {item.name: item.settings.to_json() for item in self.providers}
        settings = {name: said for name, said in settings.items() if said}
        return {
            "runs_on": self.host_runtime.runs_on(self.provider_names),
            "threads": self.threads,
            "session": {
                "runtime": self.runtime,
                "providers": list(self.provider_names),
                **({"provider_settings": settings} if settings else {}),
                "optimization": self.optimization,
                **({} if self.batch is None else {"batch": self.batch}),
                "config": dict(self.config),
                "threads": self.threads,
            },
        }


def load_profile(name_or_path: str) -> TargetProfile:
    """A profile by name, path or address.

    Args:
        name_or_path: a shipped profile (`qemu:CPU` is the file qemu-CPU.yaml), the path of a .yaml file,
            `ssh://[user@]host[:port]`, PROFILE=ssh://... (a profile's settings on that machine), `container:IMAGE`, or
            `pool:A,B,...` of such names.

    Raises:
        UsageError: no such target, a file that is not a profile, or a pool of unlike members.
    """
    return _loaded(name_or_path)


def _loaded(name_or_path: str, *, pool: str | None = None) -> TargetProfile:
    """A profile, of a member of a pool if there is one."""
    if name_or_path.startswith(POOL):
        names = [name for name in name_or_path.removeprefix(POOL).split(",") if name]
        return _pooled({"name": name_or_path, "transport": "pool", "pool": names}, name_or_path, within=pool)
    base, found, address = name_or_path.rpartition("ssh://")
    if found:
        return _behind_ssh(name_or_path, base, address)
    if name_or_path.startswith(CONTAINER):
        return _in_container(name_or_path)
    if name_or_path.startswith(QEMU):
        emulated_cpu(name_or_path.removeprefix(QEMU))
    family = next((prefix for prefix in FAMILIES if name_or_path.startswith(prefix)), "")
    file = family.replace(":", "-") + name_or_path.removeprefix(family)
    path = named_file("deploy/targets", file, what="target")
    try:
        raw = parse_yaml(read_regular(path, most=MAX_BYTES).decode())
    except (OSError, ValueError) as error:
        raise UsageError(f"target profile '{path}' cannot be read: {error}") from error
    if isinstance(raw, dict) and "pool" in raw:
        return _pooled(raw, str(path), within=pool)
    try:
        return TargetProfile.model_validate(raw)
    except ValidationError as error:
        raise _explained(error, path) from error


def _pooled(said: Mapping[str, Any], named: str, *, within: str | None) -> TargetProfile:
    """A pool, with the settings that its members share.

    Args:
        said: of its profile: `name`, `about`, `transport`, `pool`, `budgets`.
        named: what a user knows it by.
        within: the pool that it is a member of.

    Raises:
        UsageError: no two members, one twice, a pool among them, or members whose profiles differ.
    """
    if within is not None:
        raise UsageError(f"target '{within}': its member '{named}' is a pool itself", fix="list its members instead")
    unknown = sorted(said.keys() - OF_A_POOL)
    names = said.get("pool")
    if unknown or not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) < 2:
        found = f"key '{unknown[0]}'" if unknown else f"the members {names!r}"
        raise UsageError(
            f"target '{named}' is a pool with {found}",
            expected="two targets or more under `pool`, beside its name, about, transport and budgets: how models run "
            "is said by its members",
        )
    members = [_loaded(name, pool=named) for name in names]
    first, seen = members[0], dict[Hashable, TargetProfile]()
    for member in members:
        keys = {member.name, *transport_named(member.transport)(member).machine_keys - {HERE}}
        twice = next((seen[key] for key in keys if key in seen), None)
        if twice is not None:
            raise UsageError(
                f"target '{named}' has a member twice: '{twice.name}' and '{member.name}'", fix="list each device once"
            )
        seen |= dict.fromkeys(keys, member)
        for key in sorted(TargetProfile.model_fields.keys() - OF_A_MEMBER - (said.keys() & {"budgets"})):
            one, other = getattr(first, key), getattr(member, key)
            if one != other:
                raise UsageError(
                    f"target '{named}': members of different classes: `{key}` of '{first.name}' is {_plain(one)}, of "
                    f"'{member.name}' {_plain(other)}",
                    expected="devices of one class, whose profiles differ in how they are reached alone",
                    fix="measure the others as a target of their own",
                )
    shared = first.model_dump(exclude_unset=True, exclude=set(OF_A_MEMBER))
    try:
        return TargetProfile.model_validate({**shared, "transport": "pool", **said})
    except ValidationError as error:
        raise _explained(error, Path(named)) from error


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value


def _behind_ssh(name: str, base: str, address: str) -> TargetProfile:
    """A machine by its address, with the settings of another profile if one stands before it."""
    parts = ADDRESS_PARTS.fullmatch(address)
    if parts is None:
        raise UsageError(f"target '{name}' is not an address", expected=ADDRESS)
    if parts["password"] is not None:
        raise UsageError("a target's address contains a password", expected=ADDRESS, fix="use a key (`ssh-copy-id`)")
    settings: dict[str, Any] = {"transport": "local"}
    if base:
        profile = load_profile(base.removesuffix("="))
        if profile.emulated is not None or profile.members:
            what = "a pool" if profile.members else "emulated"
            raise UsageError(f"target '{name}': '{profile.name}' is {what} and has no address")
        settings = profile.model_dump(exclude_unset=True)
    ssh = {
        **(settings.get("ssh") or {}),
        "host": (parts["user"] or "") + parts["host"].strip("[]"),
        "port": parts["port"],
    }
    try:
        return TargetProfile.model_validate({**settings, "name": name, "transport": "ssh", "ssh": ssh})
    except ValidationError as error:
        raise UsageError(f"target '{name}' is not an address", expected=ADDRESS) from error


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
    "providers": ProviderSection,
    **{own.key: own.type for own in OWN.values() if own is not None},
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
