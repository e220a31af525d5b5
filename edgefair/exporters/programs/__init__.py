"""A training run as a program of another runtime than onnxruntime: a file here for each, found by the file's suffix."""

from __future__ import annotations

from edgefair.exporters.programs import executorch, litert
from edgefair.exporters.programs.base import ProgramWriter

PROGRAMS: dict[str, ProgramWriter] = {item.suffix: item for item in (executorch.WRITER, litert.WRITER)}
