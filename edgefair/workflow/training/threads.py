"""How many threads compute."""

from __future__ import annotations

from edgefair.errors import missing_extra


def single_thread() -> None:
    """One thread for every tensor operation of this process: several add up in another order, and crowd each other.

    Raises:
        UsageError: PyTorch is missing.
    """
    try:
        import torch
    except ImportError as error:
        raise missing_extra("training", "torch", error) from error
    torch.set_num_threads(1)
