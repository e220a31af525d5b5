"""Start a command in several processes that train together."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Sequence

from edgefair.data.files.lazy import cores
from edgefair.errors import MeasurementError, UsageError, missing_extra
from edgefair.training.settings import DeviceName


def is_first_process() -> bool:
    """Whether this process is the one that speaks: the only one, or the first of a launcher's."""
    return int(os.environ.get("RANK", "0")) == 0


def launch(arguments: Sequence[str], processes: int | None, device: DeviceName) -> int:
    """Run `edgefair ARGUMENTS` in several processes through torch's launcher; the exit code.

    They find each other through the environment, where `training.engine` looks. A process that fails ends the others.

    Args:
        processes: how many; default: one per GPU, else 2.
        device: `train.device`.

    Raises:
        UsageError: accelerate is not installed, or more processes than GPUs.
        MeasurementError: a process died without a word.
    """
    try:
        import accelerate  # noqa: F401
        import torch
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import LaunchConfig, elastic_launch
    except ImportError as error:
        raise missing_extra("--launcher", "launch", error) from error

    gpus = 0 if device == "cpu" else torch.cuda.device_count()
    number = processes or gpus or 2
    if gpus and number > gpus:
        raise UsageError(
            f"{number} processes for {gpus} GPUs",
            expected="at most one process per GPU",
            fix="lower --processes, or train on the CPU with --device cpu",
        )
    if gpus == 0:
        # What sees a GPU gives each process one of its own, whatever it is told.
        os.environ |= {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // number)))
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=number,
        max_restarts=0,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        monitor_interval=0.2,
    )
    try:
        elastic_launch(settings, sys.executable)("-m", "edgefair", *arguments)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        if failure.exitcode <= 0:
            raise MeasurementError(
                f"process {failure.local_rank} of the training was killed by signal {-failure.exitcode}",
                fix="re-run to resume from the last completed epoch",
            ) from error
        return failure.exitcode
    return 0
