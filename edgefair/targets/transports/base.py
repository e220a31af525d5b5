"""What a way to reach a machine must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from subprocess import Popen
from typing import Any, ClassVar, Protocol

from edgefair.progress import Progress
from edgefair.targets.runtimes import HostRuntime
from edgefair.targets.sections import DeviceClass, LatencyRules

# The machine that this process runs on.
HERE = "here"


@dataclass(frozen=True)
class Ending:
    """How a probe ended that should have gone on.

    Attributes:
        found: in words, with what was last said.
        dropped: the way to the machine broke, and the machine may be as well as before: starting again makes sense.
    """

    found: str
    fix: str | None = None
    dropped: bool = False


@dataclass(frozen=True)
class Section:
    """What a profile says of its way to the machine.

    Attributes:
        key: that it stands under, and that no profile of another transport has.
        type: of its value.
    """

    key: str
    type: type[Any]
    about: str


class Reached(Protocol):
    """What a way knows of its target: a `TargetProfile`, which is built from the ways' sections."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def transport(self) -> str: ...  # noqa: D102

    @property
    def settings(self) -> Any:
        """The value of the way's own section."""
        ...

    @property
    def device(self) -> DeviceClass: ...  # noqa: D102

    @property
    def latency(self) -> LatencyRules: ...  # noqa: D102

    @property
    def host_runtime(self) -> HostRuntime: ...  # noqa: D102

    @property
    def facts(self) -> Mapping[str, Any]: ...  # noqa: D102

    def load_members(self) -> Sequence[Reached]:
        """The targets of a pool."""
        ...


class Way(ABC):
    """How a target is reached, before anything is started there.

    Attributes:
        section: of its own in a profile, if any.
        settings: the value of this section, with what was found out since.
    """

    section: ClassVar[Section | None] = None
    settings: Any

    def __init__(self, profile: Reached) -> None:
        self.profile = profile
        self.settings = profile.settings

    @staticmethod
    def emulates(settings: Any) -> str | None:  # noqa: ARG004 - most ways lead to real devices
        """What emulates the device under the settings of `section`; None for a real one."""
        return None

    @staticmethod
    def members(settings: Any) -> tuple[str, ...]:  # noqa: ARG004 - most ways lead to one device
        """Targets that share the work under the settings of `section`; none where it is one device."""
        return ()

    @property
    @abstractmethod
    def machine_keys(self) -> frozenset[Hashable]:
        """Which machines' clocks its work disturbs: HERE, or a key that is equal for one machine."""

    def prepare(self, progress: Progress) -> None:  # noqa: B027 - many have nothing to make
        """Make what lasts from one start to the next: `edgefair target prepare`.

        Raises:
            MeasurementError: something that it takes is missing.
        """

    @abstractmethod
    def lacks(self) -> str | None:
        """What is known to be missing before a start, without asking the machine; None if nothing is."""


class Transport(Way):
    """A machine that can run the probe. `start` comes first, `stop` last and always; after `stop` it may start again.

    Attributes:
        shares_files: whether the device reads this machine's files; where not, they travel through the probe.
    """

    shares_files: ClassVar[bool]

    @property
    @abstractmethod
    def machine_key(self) -> Hashable:
        """The one of `machine_keys`."""

    @property
    def machine_keys(self) -> frozenset[Hashable]:
        """Of one machine."""
        return frozenset({self.machine_key})

    @property
    def identity(self) -> dict[str, Any]:
        """What a fingerprint holds of the way to the machine."""
        emulated = self.emulates(self.settings)
        return {} if emulated is None else {"emulated": emulated}

    def identified(self) -> dict[str, Any]:
        """Keys of the profile with what is found out about the machine before a start.

        Raises:
            MeasurementError: it is not there, or not what the profile wants.
        """
        return {}

    @abstractmethod
    def start(self) -> Popen[bytes]:
        """Start the probe; its stdin and stdout carry the frames, its stderr is kept for error messages.

        The probe ends when its stdin ends, so nothing outlives a host that is killed.

        Raises:
            MeasurementError: the machine cannot be reached or cannot run the probe.
        """

    @abstractmethod
    def ended(self, code: int, said: str) -> Ending:
        """What it means that the process of `start` ended with this code, having said this on stderr."""

    def stop(self) -> None:
        """Leave nothing behind on the machine but what the next start uses again."""
