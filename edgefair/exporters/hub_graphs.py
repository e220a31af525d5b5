"""A classifier of transformers -> one checked FP32 ONNX graph: by optimum where it can, else by torch.onnx."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.errors import ModelError
from edgefair.exporters.checked import read_model
from edgefair.exporters.conversion import OPSET, finished_model, first_line, quietly
from edgefair.scratch import work_folder

Task = Literal["image-classification", "text-classification"]
LOGITS = "logits"
# The largest difference of a logit between torch and the graph.
TOLERANCE = 1e-3
# Two rows, because a batch of one is specialised away.
EXAMPLE_ROWS = 2
CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})


class Feed(Protocol):
    """What a model is fed with. `PictureFeed` and `TextFeed` are."""

    @property
    def task(self) -> Task:
        """In optimum's words."""

    @property
    def limits(self) -> Mapping[str, int | None]:
        """The first dimensions of every input, which may have any size, and the largest; None without a limit."""

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs of the model."""

    def batch(self, rows: int) -> dict[str, NDArray[Any]]:
        """Inputs of the graph."""

    def as_trained(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """A batch as the model itself takes it."""

    def finish(self, graph: onnx.ModelProto) -> None:
        """Complete the graph that was made of the model."""


def graph_of(folder: Path, model: Any, feed: Feed) -> onnx.ModelProto:
    """The first graph that gives the model's logits and has no branches; else the first that gives them.

    A tracer of another release, or of a model that it does not know, may write a graph of one shape, or branches that
    cannot become INT8, where the other does not.

    Raises:
        ModelError: no exporter makes a graph that gives the model's logits; the reason of the last.
    """
    found: list[onnx.ModelProto] = []
    reason: ModelError | None = None
    for exporter in _exporters(model, feed):
        try:
            graph = _finished(folder, exporter, feed)
            _compare(folder, model, graph, feed)
        except ModelError as error:
            reason = error
            continue
        if not any(node.op_type in CONTROL_FLOW for node in graph.graph.node):
            return graph
        found.append(graph)
    if not found:
        raise reason or ModelError(f"no exporter for '{folder}'")
    return found[0]


def logits_of(model: Any, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """The model's own logits, float32 [rows, labels].

    Raises:
        ModelError: the model cannot take the inputs.
    """
    import torch

    tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
    try:
        with torch.no_grad(), quietly():
            logits: NDArray[np.float32] = model(**tensors, return_dict=True).logits.numpy()
    except Exception as error:
        raise ModelError(f"{type(model).__name__} cannot be run: {first_line(error)}") from error
    return logits


def _exporters(model: Any, feed: Feed) -> list[Callable[[], onnx.ModelProto]]:
    settings = _optimum_settings(model, feed)
    by_torch = partial(_by_torch, model, feed)
    return [by_torch] if settings is None else [partial(_by_optimum, model, feed, settings), by_torch]


def _optimum_settings(model: Any, feed: Feed) -> Any:
    """What optimum knows of the architecture; None where it is not installed or does not know it."""
    try:
        with quietly():
            # Importing this registers what it knows.
            from optimum.exporters.onnx import model_configs  # noqa: F401
            from optimum.exporters.tasks import TasksManager

            made = TasksManager.get_exporter_config_constructor(
                "onnx", model, task=feed.task, library_name="transformers"
            )
            return made(model.config)
    except Exception:
        # Beside a transformers of another release it fails in ways of its own.
        return None


def _by_optimum(model: Any, feed: Feed, settings: Any) -> onnx.ModelProto:
    from optimum.exporters.onnx import export

    shapes = {}
    if feed.task == "image-classification":
        # The tracer writes sizes into the graph, so it must see the size that the model will get.
        height, width = feed.batch(1)[feed.names[0]].shape[2:]
        shapes = {"height": height, "width": width}
    with work_folder() as temporary:
        path, as_it_was = temporary / "model.onnx", dict(vars(model))
        try:
            export(model, settings, path, opset=OPSET, input_shapes=shapes)
        finally:
            # It leaves a method on the model where it had put its own; the next exporter gets it without.
            for name in vars(model).keys() - as_it_was.keys():
                del vars(model)[name]
        return read_model(path)


def _by_torch(model: Any, feed: Feed) -> onnx.ModelProto:
    import torch

    from edgefair.exporters.hub_logits import Logits
    from edgefair.exporters.torch_program import torch_program

    example = feed.as_trained(feed.batch(EXAMPLE_ROWS))
    dims = {
        index: torch.export.Dim(name, min=1 + index, max=largest)
        for index, (name, largest) in enumerate(feed.limits.items())
    }
    program = torch_program(
        Logits(model, feed.names),
        tuple(torch.from_numpy(example[name]) for name in feed.names),
        opset_version=OPSET,
        input_names=list(feed.names),
        output_names=[LOGITS],
        dynamic_shapes=(tuple(dims for _ in feed.names),),
    )
    if program is None:
        raise ModelError("the exporter returned no ONNX program")
    return program.model_proto


def _finished(folder: Path, exporter: Callable[[], onnx.ModelProto], feed: Feed) -> onnx.ModelProto:
    try:
        with quietly():
            graph = exporter()
    except ModelError:
        raise
    except Exception as error:
        reason: BaseException = error
        # torch.onnx wraps what happened into pages on how to report it.
        while reason.__cause__ is not None:
            reason = reason.__cause__
        raise ModelError(f"the model in '{folder}' cannot be expressed in ONNX: {first_line(reason)}") from error
    feed.finish(graph)
    return finished_model(graph, opset=OPSET, static="use an architecture without a fixed batch")


def _compare(folder: Path, model: Any, graph: onnx.ModelProto, feed: Feed) -> None:
    """Refuse a graph that the tracer tied to the example's number of rows or tokens."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = {item.name for item in graph.graph.input}
    for rows in (1, 3):
        batch = feed.batch(rows)
        if not names <= set(batch):
            raise ModelError(
                f"the ONNX graph of '{folder}' has inputs {', '.join(sorted(names))}",
                expected=", ".join(feed.names),
            )
        expected = logits_of(model, feed.as_trained(batch))
        try:
            (found,) = session.run([LOGITS], {name: batch[name] for name in names})
        except Exception as error:
            raise ModelError(
                f"the ONNX graph of '{folder}' does not run for {rows} rows: {first_line(error)}"
            ) from error
        if found.shape != expected.shape or not np.abs(found - expected).max() < TOLERANCE:
            raise ModelError(f"the ONNX graph of '{folder}' does not give the model's logits for {rows} rows")
