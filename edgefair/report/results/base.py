"""What every result has in common."""

from __future__ import annotations

from typing import Any, Protocol


class Result(Protocol):
    """What a command returns, the same for every format."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, with the schema's name under `schema`; no NaN."""
        ...
