"""Formats of model files, one file each: how one is recognised, whether it is whole, and what it says of itself.

They are read from their bytes, without the runtime that runs them.
"""

from __future__ import annotations

import importlib
from typing import Tuple

from edgefair.probe.formats.base import FileFormat

# Every format, by the name of its module; each holds a FORMAT. What none of the others recognises is taken for ONNX,
# whose files begin with nothing that others do not begin with too.
NAMES: Tuple[str, ...] = ("onnx", "tflite", "executorch")


def format_named(name: str) -> FileFormat:
    """A format of the table."""
    found: FileFormat = importlib.import_module(f"{__name__}.{name}").FORMAT
    return found


def format_of(content: bytes) -> FileFormat:
    """The format that a file's first bytes are those of."""
    first, *others = map(format_named, NAMES)
    return next((item for item in others if item.recognises(content)), first)
