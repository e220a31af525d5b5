"""PyTorch as training needs it: that it is there, and how many threads compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgefair.errors import missing_extra

if TYPE_CHECKING:
    from edgefair.training.engine import Engine


def require_torch() -> None:
    """Refuse to train without PyTorch.

    Raises:
        UsageError: it is missing.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise missing_extra("training", "torch", error) from error


def device_of(engine: Engine) -> dict[str, str]:
    """What trains, for the settings of a run: two devices give weights that differ in the last bits.

    Nothing where it is the CPU, as in runs that were trained before there was a choice.
    """
    return {} if engine.device.type == "cpu" else {"device": engine.device.type}


def single_thread() -> None:
    """One thread for every tensor operation of this process: several add up in another order, and crowd each other.

    Raises:
        UsageError: PyTorch is missing.
    """
    require_torch()
    import torch

    torch.set_num_threads(1)
