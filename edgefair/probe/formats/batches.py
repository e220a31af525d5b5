"""Whether a file whose sizes are fixed takes rows at all."""

from __future__ import annotations

from typing import Any, Mapping, Sequence


def check_batches(inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse inputs and outputs whose first dimension is neither one row nor any number of them.

    Raises:
        ValueError: the first one.
    """
    for what, items in (("input", inputs), ("output", outputs)):
        for item in items:
            if item["shape"][:1] not in ([1], [None]):
                raise ValueError(
                    f"its {what} '{item['name']}' has shape {item['shape']}, whose first dimension is no batch of one "
                    "and not dynamic: convert the model with a batch dimension in front"
                )
