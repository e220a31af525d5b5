"""Kinds of models that users already have. Data: listing them imports nothing."""

from __future__ import annotations

from collections.abc import Mapping

_AT = "edgefair.workflow.models.intake"
# Suffix of a file that contains its weights -> what makes a `Converted` of its path, the `model:` section and the data.
SUFFIXES: Mapping[str, str] = {
    ".onnx": f"{_AT}:from_onnx",
    ".pt2": f"{_AT}:from_program",
    ".skops": f"{_AT}:from_skops",
}
HUGGING_FACE = "hf:"
FACTORY = "package.module:factory"
*_FIRST, _LAST = SUFFIXES
FILES = f"{', '.join(_FIRST)} or {_LAST} file"
KINDS = f"a {FILES}, {HUGGING_FACE}FOLDER (saved by save_pretrained), or {FACTORY}"
