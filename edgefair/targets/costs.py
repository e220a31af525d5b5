"""What a model costs a device beside its queries: loading, memory, and the time of every node."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgefair.measure.footprint import Footprint
from edgefair.probe.onnx_files.spec import InputSpec
from edgefair.targets.any_probe import AnyProbe
from edgefair.targets.connection import Arrays
from edgefair.targets.loaded import LoadedModel


def footprint(
    probe: AnyProbe, model: LoadedModel, row: Arrays, outputs: Sequence[str], *, inputs: Sequence[InputSpec] = ()
) -> Footprint:
    """Time to load a model and the memory that it takes; to be asked before another model is loaded.

    Args:
        row: inputs of one row, [1, ...] per graph input.
        inputs: of the model's spec.

    Raises:
        MeasurementError: the device was lost, or says what cannot be.
    """
    reply = probe.ask_about(model, {"do": "footprint", "outputs": list(outputs)}, row, inputs)
    try:
        return Footprint.from_json({**reply, "load_ms": [value / 1e6 for value in reply["load_ns"]]})
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise probe.failed(f"the device's footprint of the model is invalid: {error}") from error


def node_times(
    probe: AnyProbe, model: LoadedModel, row: Arrays, outputs: Sequence[str], *, inputs: Sequence[InputSpec] = ()
) -> dict[str, float]:
    """Microseconds of every node in a query, median, by the name that the runtime has for it after it fused nodes.

    Empty where the runtime does not tell. Args and errors as of `footprint`.
    """
    reply = probe.ask_about(model, {"do": "nodes", "outputs": list(outputs)}, row, inputs)
    try:
        times = {str(name): float(value) for name, value in reply["nodes"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise probe.failed(f"the device's times of nodes are invalid: {error!r}") from error
    if not all(0 <= value < math.inf for value in times.values()):
        raise probe.failed(f"the device returned impossible times of nodes: {times}")
    return times
