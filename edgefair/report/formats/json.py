"""Results as JSON, whose schema each of them names."""

from __future__ import annotations

import json
from typing import TextIO

from edgefair.report.results.base import Result


def json_text(result: Result) -> str:
    """The result as JSON text, without a line break at its end."""
    return json.dumps(result.to_json(), indent=1, allow_nan=False)


class Json:
    """One JSON object."""

    def write(self, result: Result, stream: TextIO) -> None:
        """Write the object."""
        stream.write(json_text(result) + "\n")
