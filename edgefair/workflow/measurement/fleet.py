"""Several targets at once: machines work side by side, what is on one machine goes one after the other."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from edgefair.decision.policy import Policy
from edgefair.errors import UsageError
from edgefair.progress import Progress
from edgefair.targets import TargetProfile, load_profile, transport_of
from edgefair.targets.transports.base import HERE

Result = TypeVar("Result")


def load_fleet(names: Sequence[str]) -> list[TargetProfile]:
    """The profiles of the targets, in their order.

    Raises:
        UsageError: an unknown target, or two with one name.
    """
    profiles: dict[str, tuple[str, TargetProfile]] = {}
    for name in names:
        profile = load_profile(name)
        if profile.name in profiles:
            raise UsageError(
                f"two targets have the name '{profile.name}': '{profiles[profile.name][0]}' and '{name}'",
                fix="list each target once, or rename one profile",
            )
        profiles[profile.name] = (name, profile)
    return [profile for _, profile in profiles.values()]


def patient(profile: TargetProfile, policy: Policy) -> TargetProfile:
    """The profile, for timing: it waits for queries that tell enough to judge by only where latency is judged."""
    if {policy.max_latency_p90_ms, profile.budgets.max_latency_p90_ms} != {None}:
        return profile
    return profile.model_copy(update={"latency": profile.latency.model_copy(update={"min_effective_queries": 0})})


def on_each(
    profiles: Sequence[TargetProfile], work: Callable[[TargetProfile, Progress], Result], progress: Progress
) -> list[Result]:
    """The work's result on every target, in their order.

    Other machines come first, side by side; then the targets on this machine one after the other, so that their clock
    is not disturbed by what this machine does for the others.

    Raises:
        Exception: what the work raised on the first target, in their order, that it raised anything on.
    """
    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}
    here, *others = _machines(profiles)

    told = [progress.named(profile.name) if len(profiles) > 1 else progress for profile in profiles]

    def attend(indices: list[int]) -> None:
        for index in indices:
            try:
                results[index] = work(profiles[index], told[index])
            except BaseException as error:
                errors[index] = error
                return

    # Daemons: who interrupts the command does not wait for them, and the probes end with their streams.
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(attend, indices), daemon=True)
        for indices in others
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not errors:
        attend(here)
    if errors:
        raise errors[min(errors)]
    return [results[index] for index in range(len(profiles))]


def _machines(profiles: Sequence[TargetProfile]) -> list[list[int]]:
    """Positions of the targets that share a machine, directly or by way of a pool; first those on this machine."""
    found: dict[frozenset[Hashable], list[int]] = {frozenset({HERE}): []}
    for index, profile in enumerate(profiles):
        keys = transport_of(profile).machine_keys
        # What is on this machine comes last, when nobody is at work elsewhere.
        keys = frozenset({HERE}) if HERE in keys else keys
        same = [known for known in found if known & keys]
        joined = sorted(at for known in same for at in found[known])
        found = {known: at for known, at in found.items() if known not in same}
        found[keys.union(*same)] = [*joined, index]
    here = found.pop(frozenset({HERE}))
    return [here, *found.values()]
