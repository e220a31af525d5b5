"""What every converter shares: silence while it works, and the last checks of the graph it made."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import onnx

from edgefair.errors import ModelError
from edgefair.exporters.checked import checked_model, drop_traces

# The newest opset that a converter may write.
OPSET = 20
ROWS = "rows"
# A narrower network is not an FP32 reference for what compression changes.
NARROW: dict[int, str] = {onnx.TensorProto.FLOAT16: "float16", onnx.TensorProto.BFLOAT16: "bfloat16"}


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep what converters print, log and warn away from the console: stdout carries results only."""
    import onnxruntime

    # Its warnings go past Python's stderr.
    onnxruntime.set_default_logger_severity(3)
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def first_line(error: BaseException, limit: int = 300) -> str:
    """The first line of an error's text, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:limit] if lines else type(error).__name__


def finished_model(model: onnx.ModelProto, *, opset: int | None = None, static: str) -> onnx.ModelProto:
    """The converted model, checked, without traces, its first dimensions dynamic (and named).

    Args:
        model: changed in place.
        opset: the opset that was asked for, where the converter may not choose another.
        static: how to make a first dimension dynamic, for the error.

    Raises:
        ModelError: an invalid graph, one with a fixed number of rows, or one that is not FP32.
    """
    for item in [*model.graph.input, *model.graph.output]:
        dims = item.type.tensor_type.shape.dim
        if not dims or dims[0].HasField("dim_value"):
            shape = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in dims]
            raise ModelError(
                f"'{item.name}' has the fixed shape {shape}",
                expected="a first dimension for any number of rows",
                fix=static,
            )
        if not dims[0].dim_param:
            dims[0].dim_param = ROWS
    narrow = narrow_tensor(model)
    if narrow is not None:
        raise ModelError(narrow, expected="an FP32 model", fix="call model.float() before exporting it")
    drop_traces(model)
    return checked_model(model, opset=opset)


def narrow_tensor(model: onnx.ModelProto) -> str | None:
    """A weight, input or constant of the model in half precision, in words; None where there is none."""
    graph = model.graph
    types = [(item.name, item.data_type) for item in graph.initializer]
    types += [(item.name, item.type.tensor_type.elem_type) for item in graph.input]
    types += [
        (node.output[0], item.t.data_type) for node in graph.node for item in node.attribute if item.HasField("t")
    ]
    return next((f"'{name}' is {NARROW[kind]}" for name, kind in types if kind in NARROW), None)
