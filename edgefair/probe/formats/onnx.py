"""ONNX: one file in protobuf's canonical spelling, with all of its weights."""

from __future__ import annotations

from edgefair.probe.model_file import ModelFile
from edgefair.probe.onnx_files.external import kept_elsewhere
from edgefair.probe.onnx_files.onnx_file import read_onnx

IR_VERSION = b"\x08"


class Onnx:
    """See `probe.formats.base.FileFormat`."""

    name = "ONNX"
    suffix = ".onnx"

    def recognises(self, content: bytes) -> bool:
        """By the version of its format, which writers put first; others may do so too."""
        return content[:1] == IR_VERSION

    def check_whole(self, content: bytes) -> None:
        """Refuse what is no ONNX file, and one that keeps something in other files (ValueError)."""
        if not content:
            raise ValueError("it is empty")
        try:
            elsewhere = kept_elsewhere(content)
        except ValueError as error:
            raise ValueError(f"it is damaged: {error}") from error
        if elsewhere is not None:
            raise ValueError(
                f"{elsewhere}, which the digest would not cover; save the model in one file with "
                "onnx.save_model(..., save_as_external_data=False)"
            )

    def read(self, content: bytes) -> ModelFile:
        """See `probe.onnx_files.onnx_file`."""
        return read_onnx(content)


FORMAT = Onnx()
