"""The time of every node of a graph, as onnxruntime's own profile tells it."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Sequence

import numpy as np

from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes.models import Loaded

WARMUP, QUERIES = 5, 50
_KERNEL = "_kernel_time"


def node_times(
    load: Callable[[str], Loaded], row: Mapping[str, np.ndarray], outputs: Sequence[str]
) -> Dict[str, float]:
    """Microseconds of every node in a query, median of 50, by the name that the runtime gave it.

    Empty where the runtime has no such profile. Writing it down costs time itself, so these add up to more than a
    query takes.

    Args:
        load: makes a session that writes its profile to files with the given beginning.
        row: inputs of one row.

    Raises:
        ProbeError: the runtime fails, or its profile cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = load(str(Path(folder) / "profile"))
        if not hasattr(model.session, "end_profiling"):
            return {}
        for _ in range(WARMUP + QUERIES):
            model.run(row, outputs, one_by_one=True)
        path = model.session.end_profiling()
        try:
            events = json.loads(Path(path).read_bytes())
            return _medians(events)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ProbeError("run_failed", f"the runtime's profile cannot be read: {error!r}") from error


def _medians(events: Sequence[Mapping[str, Any]]) -> Dict[str, float]:
    taken: Dict[str, List[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            taken.setdefault(event["name"][: -len(_KERNEL)], []).append(float(event["dur"]))
    return {name: statistics.median(times[WARMUP:]) for name, times in taken.items() if len(times) > WARMUP}
