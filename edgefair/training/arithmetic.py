"""How a GPU computes while a network is trained on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def as_written() -> Iterator[None]:
    """float32 is float32, and a run that is resumed ends with the same weights, as on the CPU. All is put back.

    No TF32, cuDNN's default for convolutions: with 10 bits of mantissa a network learns what the exported file, which
    computes in float32, does not do. And the deterministic kernels, where PyTorch has one: where it has none, it warns,
    and a resumed run may differ in the last bits.
    """
    # cuBLAS reads it when it starts; without it PyTorch takes matrix products for indeterminate.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    precision = torch.get_float32_matmul_precision()
    mode = torch.get_deterministic_debug_mode()
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_deterministic_debug_mode(mode)
