"""What is inside a graph while it runs: values of its inner tensors, batch by batch, on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import onnx
from numpy.typing import NDArray

from edgefair.errors import ModelError
from edgefair.graphs.as_written import AS_WRITTEN
from edgefair.graphs.outputs import exposed
from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes.models import load
from edgefair.scratch import work_folder


def inner_values(
    model: onnx.ModelProto, names: Sequence[str], batches: Iterable[dict[str, NDArray[Any]]]
) -> Iterator[dict[str, NDArray[Any]]]:
    """The named values of every batch, in order; one batch is held at a time.

    Args:
        names: of any values of the graph.
        batches: graph inputs.

    Raises:
        ModelError: onnxruntime cannot run the graph.
    """
    try:
        with work_folder() as folder:
            path = folder / "model.onnx"
            onnx.save_model(exposed(model, names), path)
            loaded = load(str(path), AS_WRITTEN)
        for batch in batches:
            yield loaded.run(batch, names)
    except ProbeError as error:
        raise ModelError(f"onnxruntime cannot show the inner values of the graph: {error}") from error
