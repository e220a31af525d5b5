"""What can be asked of a target, be it one device or a pool of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import MeasurementError
from edgefair.probe.onnx_files.spec import InputSpec
from edgefair.targets.connection import Arrays
from edgefair.targets.loaded import LoadedModel
from edgefair.targets.profile import TargetProfile

Result = TypeVar("Result")


@dataclass(frozen=True)
class Member:
    """A device of a pool.

    Attributes:
        device: its fingerprint.
        lost: how it was lost; None where it still answers.
    """

    name: str
    device: dict[str, Any]
    lost: MeasurementError | None = None


class AnyProbe(Protocol):
    """See `targets.client.Probe` for what is not said here.

    Attributes:
        profile: of the target.
        device: fingerprint of the device; of a pool what all of its devices have in common.
        answered_by: name of the device that gave the batch which `run` returned last.
    """

    profile: TargetProfile
    answered_by: str

    @property
    def device(self) -> dict[str, Any]: ...  # noqa: D102

    @property
    def identity(self) -> dict[str, Any]: ...  # noqa: D102

    @property
    def members(self) -> tuple[Member, ...]:
        """The devices of a pool, lost ones too; none where the target is one device."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def load(self, path: Path, *, name: str, beside: bool = False) -> LoadedModel: ...  # noqa: D102

    def run(  # noqa: D102
        self,
        model: LoadedModel,
        batches: Iterable[Arrays],
        outputs: Sequence[str],
        *,
        inputs: Sequence[InputSpec] = (),
        one_by_one: bool = False,
    ) -> Iterator[Arrays]: ...

    def ask_about(  # noqa: D102
        self, model: LoadedModel, request: Mapping[str, Any], row: Arrays, inputs: Sequence[InputSpec]
    ) -> dict[str, Any]: ...

    def failed(self, found: str) -> MeasurementError: ...  # noqa: D102

    def latency(  # noqa: D102
        self,
        outputs: Mapping[str, Sequence[str]],
        pool: Arrays,
        *,
        inputs: Sequence[InputSpec] = (),
        energy: bool = False,
    ) -> dict[str, NDArray[np.int64]]: ...

    def each(self, work: Callable[[AnyProbe], Result], *, timed: bool = False) -> dict[str, Result]:
        """The work's result on every device that is not lost with it, by the device's name.

        Args:
            timed: whether the work is about the clock, and one device of a machine must not disturb another.

        Raises:
            MeasurementError: all were lost.
            Exception: what the work raised on the first device that it raised anything else on.
        """
        ...


class OneDevice:
    """What a probe of one device has of `AnyProbe` only because a pool has it."""

    def __init__(self, profile: TargetProfile) -> None:
        self.profile = profile
        self.answered_by = profile.name

    @property
    def members(self) -> tuple[Member, ...]:
        """None: it is no pool."""
        return ()

    def each(self, work: Callable[[AnyProbe], Result], *, timed: bool = False) -> dict[str, Result]:  # noqa: ARG002
        """The work's result here."""
        return {self.profile.name: work(cast("AnyProbe", self))}
