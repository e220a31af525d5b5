"""What every result has in common."""

from __future__ import annotations

from typing import Any, Protocol


class Result(Protocol):
    """What a command returns, for every format alike."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, with the schema's name under `schema`; no NaN."""
        ...
