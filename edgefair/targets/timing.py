"""What a device is asked about latency, and what may be believed of its answer."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import MeasurementError
from edgefair.probe.clock.energy import BLOCK_S, BLOCKS, SETTLING_S
from edgefair.targets.profile import TargetProfile

# What no machine has more of, and no sensor shows: beyond it a number is not a measurement.
MOST_CORES, LARGEST = 1 << 20, 1e300


def timing_request(
    profile: TargetProfile, outputs: Mapping[str, Sequence[str]], *, energy: bool
) -> tuple[dict[str, Any], float]:
    """The request for query times, and the seconds that it asks the device to spend at most.

    Raises:
        MeasurementError: the device's clock says nothing.
    """
    if not profile.latency.measured:
        raise MeasurementError(
            f"target '{profile.name}': it does not measure latency",
            fix="drop the options that depend on measured latency",
        )
    rules = profile.latency.model_dump(exclude={"measured"})
    request = {
        "do": "latency",
        "outputs": {name: list(names) for name, names in outputs.items()},
        "rules": rules,
        "threads": profile.threads,
        "energy": energy,
    }
    # As long for warming up as for the queries that count.
    seconds = 2 * profile.latency.max_seconds + (BLOCKS * (SETTLING_S + BLOCK_S) if energy else 0.0)
    return request, seconds * len(outputs)


def check_times(times: Mapping[str, NDArray[Any]], models: Iterable[str]) -> None:
    """Query times are positive whole numbers, as many of every model.

    Raises:
        ValueError: they are not.
    """
    counts = {len(times[name]) if name in times and times[name].ndim == 1 else 0 for name in models}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"the device returned {sorted(counts)} times, not equally many per model")
    for name in models:
        if times[name].dtype != np.int64 or times[name].min() <= 0:
            raise ValueError(f"the device returned impossible times for '{name}'")


def circumstances(reply: Mapping[str, Any], models: set[str]) -> dict[str, Any]:
    """What the fingerprint of a timed device holds beside the machine; what the device cannot tell is absent.

    pinned: the logical processors that ran the queries. before_timing, after_timing: see `probe.device.conditions`.
    energy: `source` (the meter), `covers` (of what), `mj_per_query` (median of the blocks by model, mJ) and
    `blocks_mj_per_query`.

    Raises:
        ValueError: an energy that cannot be.
    """
    said: dict[str, Any] = {}
    cores = reply.get("pinned")
    if isinstance(cores, list) and cores and all(type(core) is int and 0 <= core < MOST_CORES for core in cores):
        said["pinned"] = cores
    for moment in ("before", "after"):
        read = reply.get(moment)
        if isinstance(read, dict):
            numbers = {name: value for name, value in read.items() if _is_finite(value)}
            said[f"{moment}_timing"] = numbers
    if reply.get("energy") is not None:
        said["energy"] = _energy(reply["energy"], models)
    return said


def _is_finite(value: Any) -> bool:
    return isinstance(value, bool | int | float) and abs(value) <= LARGEST


def _energy(said: Any, models: set[str]) -> dict[str, Any]:
    try:
        blocks = {str(name): [float(value) for value in values] for name, values in said["mj"].items()}
        source, covers = str(said["source"]), str(said["covers"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"the device's energy readings are invalid: {error!r}") from error
    values = [value for block in blocks.values() for value in block]
    if set(blocks) != models or not all(blocks.values()) or not all(0 < value < math.inf for value in values):
        raise ValueError(f"the device returned impossible energies: {blocks}")
    return {
        "source": source,
        "covers": covers,
        "mj_per_query": {name: statistics.median(block) for name, block in blocks.items()},
        "blocks_mj_per_query": blocks,
    }
