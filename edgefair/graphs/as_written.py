"""How a graph is run on this machine to be looked at rather than judged; read without loading `onnx`."""

from __future__ import annotations

from typing import Any

# Options of `open_model`: the graph as it is written. Without fusion INT8 is simulated in float: the same values on
# every processor, whatever its INT8 kernels do.
AS_WRITTEN: dict[str, Any] = {
    "threads": 1,
    "providers": ["CPUExecutionProvider"],
    "optimization": "disable",
    "config": {},
}
