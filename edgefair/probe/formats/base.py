"""What must be known of a format of model files."""

from __future__ import annotations

from typing import Protocol

from edgefair.probe.model_file import ModelFile


class FileFormat(Protocol):
    """A format.

    name: as messages name it. suffix: of its files.
    """

    name: str
    suffix: str

    def recognises(self, content: bytes) -> bool:
        """Whether a file begins as those of this format do."""
        ...

    def check_whole(self, content: bytes) -> None:
        """Refuse what is not a model, or not all of one: its digest would not cover the rest.

        Raises:
            ValueError: empty, damaged, or something that other files belong to.
        """
        ...

    def read(self, content: bytes) -> ModelFile:
        """What a file says of itself.

        Raises:
            ValueError: it cannot be read.
        """
        ...
