"""A quick look at how fast a model file is, to choose by.

The verdict's latency is measured by `workflow.measurement.measure`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgefair.data.rows import TableRows
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.targets import TargetProfile
from edgefair.workflow.kept_targets import KeptTargets

QUERIES, WARMUP, MAX_SECONDS, POOL = 200, 10, 5.0, 16


def median_ms(targets: KeptTargets, profile: TargetProfile, path: Path, rows: TableRows, spec: ModelSpec) -> float:
    """Median milliseconds of a single query on a target whose clock can be believed.

    Raises:
        MeasurementError, ModelError: see `Probe`.
    """
    rules = profile.latency.model_copy(
        update={
            "warmup": WARMUP,
            "min_queries": QUERIES,
            "min_seconds": 0.0,
            "max_seconds": MAX_SECONDS,
            "min_effective_queries": 0,
        }
    )
    with targets.open(profile.model_copy(update={"latency": rules})) as probe:
        probe.load(path, name="candidate")
        pool = next(rows.inputs(spec, POOL))
        times = probe.latency({"candidate": [spec.reading.output]}, pool, inputs=spec.inputs)
    return float(np.median(times["candidate"])) / 1e6
