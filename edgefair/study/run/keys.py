"""Keys of what a study has made: digests of all that decides it, so that nothing of other settings or code is taken."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from edgefair._version import __version__
from edgefair.config import Config
from edgefair.files import sha256_json
from edgefair.resources import PACKAGE
from edgefair.study.cells import Cell
from edgefair.study.plan import Plan
from edgefair.study.run.cells import data_config
from edgefair.training.settings import DeviceName
from edgefair.versions import versions_of
from edgefair.workflow.training.torch_here import device_of, require_torch

# What numbers come from; how they are shown changes no row.
CODE = (
    "compress", "config.py", "data", "debias", "decision", "exporters", "files.py", "graphs", "measure", "probe",
    "study/responses.py", "study/run", "targets", "training", "workflow",
)  # fmt: skip
PACKAGES = ("numpy", "onnx", "onnxruntime", "torch")
# Threads of every training and of nothing else: two of them add up in another order.
THREADS = 1
# What of the project says where things lie, how much memory there is, and what trains, which `environment` says.
PLACES = {"runs", "output", "account", "project"}
MACHINE = {"memory_mb", "device"}
SHORT = 20


@lru_cache
def environment(device: DeviceName) -> dict[str, Any]:
    """Versions of all that makes numbers, a digest of edgefair's own code, the threads of a training, and its GPU.

    Args:
        device: `train.device`.

    Raises:
        UsageError: PyTorch is missing, or there is no such device.
    """
    require_torch()
    from edgefair.training.engine import Engine

    return {
        "edgefair": __version__,
        "code": _code()[:SHORT],
        "python": platform.python_version(),
        "threads": THREADS,
        **versions_of(PACKAGES),
        **device_of(Engine(device)),
    }


def _code() -> str:
    digest = hashlib.sha256()
    for name in CODE:
        place = PACKAGE / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def project_settings(config: Config) -> dict[str, Any]:
    """The project as a key sees it."""
    return config.model_dump(mode="json", exclude=dict.fromkeys(PLACES, True) | {"train": MACHINE, "finetune": MACHINE})


def training_name(plan: Plan, config: Config, cell: Cell, *, rows: str, made_by: Mapping[str, Any]) -> str:
    """The name of the training that a cell starts from: equal for cells that share it.

    Args:
        rows: digest of the rows of the project.
        made_by: `environment` of the study.
    """
    start = cell.dense or cell.network
    settings = {
        "start": [*start],
        "model": config.model.model_dump(mode="json"),
        "train": config.train.deciding,
        "data": data_config(config.data, cell).model_dump(mode="json"),
        "policy": config.policy.digest,
        "before": plan.methods.before,
        "updates": plan.updates,
        "after_rows": plan.after_rows,
        "rows": rows,
        "made_by": made_by,
    }
    return f"{'dense' if cell.dense else 'anew'}-{sha256_json(settings)[:SHORT]}"


def row_key(plan: Plan, config: Config, cell: Cell, *, rows: str, made_by: Mapping[str, Any]) -> str:
    """The key of a cell's row. Which contrasts are asked of it is no part of it."""
    settings = {
        "cell": cell.key,
        "project": project_settings(config),
        "methods": plan.methods.model_dump(mode="json"),
        "compress": plan.compress,
        "updates": plan.updates,
        "after_rows": plan.after_rows,
        "latency": plan.latency,
        "beside": [str(item) for item in plan.factors.extent if str(item) in {"none", "finetune-only"}],
        "rows": rows,
        "made_by": made_by,
    }
    return sha256_json(settings)[:SHORT]
