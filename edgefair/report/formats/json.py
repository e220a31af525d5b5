"""Results as JSON, whose schema each of them names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TextIO

from edgefair.report.escape import json_in_a_log
from edgefair.report.formats.base import Item
from edgefair.report.results.base import Result


def json_text(result: Result) -> str:
    """The result as JSON text, without a line break at its end."""
    return json_in_a_log(json.dumps(result.to_json(), indent=1, allow_nan=False))


class Json:
    """One JSON object; of several results a list of them."""

    def write(self, items: Sequence[Item], stream: TextIO) -> None:
        """Write the object or the list."""
        texts = [json_text(item.result) for item in items]
        stream.write((texts[0] if len(texts) == 1 else "[" + ",\n".join(texts) + "]") + "\n")
