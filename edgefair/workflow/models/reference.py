"""The model before compression: an FP32 ONNX file, or one that was made for a runtime and stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefair.probe.onnx_files.spec import ModelSpec


@dataclass(frozen=True)
class Reference:
    """The model before compression.

    Attributes:
        path: the file, which carries its spec.
        settings: where it comes from, for the manifest.
    """

    spec: ModelSpec
    path: Path
    settings: dict[str, Any]
