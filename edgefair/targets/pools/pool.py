"""Several devices of one class as one target: they share the rows, and each is timed by itself."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import MeasurementError
from edgefair.probe.onnx_files.spec import InputSpec
from edgefair.targets.client import Probe
from edgefair.targets.connection import Arrays, LostError
from edgefair.targets.loaded import LoadedModel
from edgefair.targets.pools.any_probe import AnyProbe, Member
from edgefair.targets.pools.sharing import Hand, Shared, working
from edgefair.targets.profile import TargetProfile

Result = TypeVar("Result")


class Pool:
    """Running probes on devices of one class. Use it as a context manager; it is asked as one `Probe` is.

    A device that is lost after the start, or hangs while it decides rows, gives its unanswered batches to the others;
    the last one's loss is the pool's.

    Args:
        profile: with the settings that all members share.
        here: names of the members on this machine, whose clocks disturb each other.

    Attributes:
        answered_by: name of the device that gave the batch which `run` returned last.
    """

    def __init__(self, profile: TargetProfile, probes: Sequence[Probe], here: frozenset[str]) -> None:
        self.profile = profile
        self.answered_by = ""
        self._probes = {probe.profile.name: probe for probe in probes}
        self._here = here
        self._lost: dict[str, MeasurementError] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            # A device that is not there is an error now: later on it is a loss.
            _, errors = _side_by_side(self._living, stack.enter_context)
            if errors:
                raise next(errors[name] for name in self._probes if name in errors)
            self._check_class()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def members(self) -> tuple[Member, ...]:
        """All devices, in the order of the profile."""
        return tuple(Member(name, probe.device, self._lost.get(name)) for name, probe in self._probes.items())

    @property
    def device(self) -> dict[str, Any]:
        """What the fingerprints of all devices say alike."""
        first, *others = (probe.device for probe in self._probes.values())
        return {key: said for key, said in first.items() if all(other.get(key) == said for other in others)}

    @property
    def identity(self) -> dict[str, Any]:
        """What outputs depend on: the same on all devices."""
        return self._living[0].identity

    @property
    def _living(self) -> list[Probe]:
        return [probe for name, probe in self._probes.items() if name not in self._lost]

    def failed(self, found: str) -> MeasurementError:
        """What to raise where the devices said what cannot be."""
        return MeasurementError(f"target '{self.profile.name}': {found}")

    def load(self, path: Path, *, name: str, beside: bool = False) -> LoadedModel:
        """Load a model on every device. See `Probe.load`.

        Raises:
            MeasurementError: what runs it differs between two devices, too.
        """
        found = self.each(lambda probe: probe.load(path, name=name, beside=beside))
        self._check_class()
        return next(iter(found.values()))

    def run(
        self,
        model: LoadedModel,
        batches: Iterable[Arrays],
        outputs: Sequence[str],
        *,
        inputs: Sequence[InputSpec] = (),
        one_by_one: bool = False,
    ) -> Iterator[Arrays]:
        """Outputs of every batch, in order, each from the device that had time for it. See `Probe.run`."""
        if not self._living:
            raise self._all_lost()
        shared = Shared(batches, self._count_as_lost)

        def attend(probe: Probe) -> None:
            while shared.wait_for_work():
                hand = Hand(shared, probe.profile.name)
                try:
                    for answer in probe.run(model, hand, outputs, inputs=inputs, one_by_one=one_by_one):
                        shared.answered(hand, answer)
                except LostError as error:
                    self._lost[hand.name] = error
                    shared.dropped(hand)
                    if not self._living:
                        shared.fail(self._all_lost())
                    return
                except BaseException as error:
                    shared.fail(error)
                    return

        probes, finished = self._living, False
        with working(threading.Thread(target=attend, args=(probe,), daemon=True) for probe in probes):
            try:
                while (found := shared.next_answer()) is not None:
                    self.answered_by, answer = found
                    yield answer
                finished = True
            finally:
                shared.close()
                if not finished:
                    for probe in probes:
                        probe.give_up(f"the run of '{model.path}' was aborted")

    def ask_about(
        self, model: LoadedModel, request: Mapping[str, Any], row: Arrays, inputs: Sequence[InputSpec]
    ) -> dict[str, Any]:
        """The first device's answer. See `Probe.ask_about`."""
        return self._living[0].ask_about(model, request, row, inputs)

    def latency(
        self,
        outputs: Mapping[str, Sequence[str]],
        pool: Arrays,
        *,
        inputs: Sequence[InputSpec] = (),
        energy: bool = False,
    ) -> dict[str, NDArray[np.int64]]:
        """Query times of the device that is slowest with the last of the models. See `Probe.latency`."""
        found = self.each(lambda probe: probe.latency(outputs, pool, inputs=inputs, energy=energy), timed=True)
        *_, last = outputs
        return max(found.values(), key=lambda times: float(np.median(times[last])))

    def each(self, work: Callable[[AnyProbe], Result], *, timed: bool = False) -> dict[str, Result]:
        """See `AnyProbe.each`: side by side, but where this is about the clock one after the other on this machine."""
        alone = [probe for probe in self._living if timed and probe.profile.name in self._here]
        found, errors = _side_by_side([probe for probe in self._living if probe not in alone], work)
        for probe in alone:
            some, wrong = _side_by_side([probe], work)
            found, errors = found | some, errors | wrong
        for name in self._probes:
            error = errors.get(name)
            if isinstance(error, LostError):
                self._lost[name] = error
            elif error is not None:
                raise error
        if not found:
            raise self._all_lost()
        return {name: found[name] for name in self._probes if name in found}

    def _count_as_lost(self, name: str, silent_s: float) -> None:
        self._probes[name].give_up(f"no answer for {silent_s:.0f} s, after batches that took far less", lost=True)

    def _all_lost(self) -> MeasurementError:
        said = "; ".join(error.found for error in self._lost.values())
        return MeasurementError(f"target '{self.profile.name}': all of its devices were lost: {said}")

    def _check_class(self) -> None:
        """Refuse devices whose outputs depend on something that is not alike (MeasurementError)."""
        first, *others = self._living
        for other in others:
            for key, said in first.identity.items():
                if other.identity.get(key) != said:
                    raise MeasurementError(
                        f"target '{self.profile.name}': members of different classes: '{key}' of "
                        f"'{first.profile.name}' is {said}, of '{other.profile.name}' {other.identity.get(key)}",
                        expected="devices of one class: the same processor, runtime and versions",
                        fix="measure the others as a target of their own",
                    )


def _side_by_side(
    probes: Sequence[Probe], work: Callable[[Probe], Result]
) -> tuple[dict[str, Result], dict[str, BaseException]]:
    """What the work gave or raised on each, by name."""
    found: dict[str, Result] = {}
    errors: dict[str, BaseException] = {}

    def attend(probe: Probe) -> None:
        try:
            found[probe.profile.name] = work(probe)
        except BaseException as error:
            errors[probe.profile.name] = error

    with working(threading.Thread(target=attend, args=(probe,), daemon=True) for probe in probes):
        pass
    return found, errors
