"""What a search of a training rests on."""

from __future__ import annotations

from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.files import sha256_json
from edgefair.workflow.training.torch_here import device_of, require_torch

# What a search does not read, where it is kept, and what `TrainConfig.deciding` says.
BESIDE = {"targets", "output", "compress", "finetune", "runs", "train"}


def search_digest(config: Config, data: DataSet) -> str:
    """SHA-256 of all that decides which model a search finds: not how much memory there is, but which device trains.

    Raises:
        UsageError: PyTorch is missing, or there is no such device.
    """
    require_torch()
    from edgefair.training.engine import Engine

    train = {**config.train.deciding, **device_of(Engine(config.train.device))}
    asked = {**config.model_dump(mode="json", exclude=BESIDE), "train": train}
    return sha256_json([asked, data.train.fingerprint, data.validation.fingerprint])
