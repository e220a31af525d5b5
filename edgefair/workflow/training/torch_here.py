"""PyTorch as training needs it: that it is there, and how many threads compute."""

from __future__ import annotations

from edgefair.errors import missing_extra


def require_torch() -> None:
    """Refuse to train without PyTorch.

    Raises:
        UsageError: it is missing.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise missing_extra("training", "torch", error) from error


def single_thread() -> None:
    """One thread for every tensor operation of this process: several add up in another order, and crowd each other.

    Raises:
        UsageError: PyTorch is missing.
    """
    require_torch()
    import torch

    torch.set_num_threads(1)
