"""What a device may say of itself: known keys of known types. Reports, gates and loaders read nothing else."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, create_model

from edgefair.mistakes import first_mistake
from edgefair.probe.runtimes import NAMES

# What the outputs of any runtime depend on.
OF_PROCESSOR = ("machine", "cpu", "flags")


class _Said(BaseModel):
    """Facts by name; one that is not known here is left out."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")


class Energy(_Said):
    """As `targets.timing.circumstances` makes it."""

    source: str
    covers: str
    mj_per_query: dict[str, float]
    blocks_mj_per_query: dict[str, list[float]]


class Container(_Said):
    """As `ContainerSettings.identity` makes it."""

    image: str
    engine: str
    id: str
    architecture: str = ""
    cpus: float = 0.0
    memory: str = ""


class ProviderSettings(_Said):
    """As `probe.runtimes.providers.settings` makes it."""

    package: str = ""
    library: str = ""
    options: dict[str, str] = {}
    device: dict[str, str] = {}


class Session(_Said):
    """As `TargetProfile.facts` makes it."""

    runtime: str
    providers: list[str]
    provider_settings: dict[str, ProviderSettings] = {}
    optimization: str
    batch: int = 0
    config: dict[str, str]
    threads: int


class _Machine(_Said):
    machine: str = ""
    cpu: str = ""
    flags: list[str] = []
    cores: int = 0
    governor: str = ""
    temperature_c: float = 0.0
    system: str = ""
    python: str = ""
    numpy: str = ""


# Every runtime's version under its name.
_Versions = create_model("_Versions", __base__=_Machine, **dict.fromkeys(NAMES, (str, "")))  # type: ignore[call-overload]


class Machine(_Versions, _Machine):
    """What a device says of itself: see `probe.device.fingerprint`. What is not said is absent."""

    providers: list[str] = []


class Fingerprint(Machine):
    """With what the host knows of it, and what was measured there: see `Probe.device`."""

    emulated: str = ""
    runs_on: str = ""
    threads: int = 0
    session: Session | None = None
    engine: dict[str, JsonValue] = {}
    container: Container | None = None
    pinned: list[int] = []
    before_timing: dict[str, float | bool] = {}
    after_timing: dict[str, float | bool] = {}
    energy: Energy | None = None


def checked_machine(said: Any) -> dict[str, Any]:
    """What a device says of itself, as far as it is known here; what only the host can know is left out.

    Raises:
        ValueError: a fact of another type than it has.
    """
    return _checked(Machine, said)


def checked_fingerprint(said: Any) -> dict[str, Any]:
    """The facts that are known, of a fingerprint in a record; others are left out.

    Raises:
        ValueError: a fact of another type than it has.
    """
    return _checked(Fingerprint, said)


def _checked(kind: type[Machine], said: Any) -> dict[str, Any]:
    try:
        return kind.model_validate(said).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise ValueError(str(first_mistake(error))) from error
