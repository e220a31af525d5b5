"""A trained classifier -> one checked FP32 ONNX file."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import torch

from edgefair.errors import ModelError
from edgefair.exporters.checked import checked_model, drop_traces
from edgefair.exporters.torch_program import torch_program
from edgefair.graphs.byte_casts import widen_byte_casts
from edgefair.graphs.metadata import set_spec
from edgefair.progress import timed
from edgefair.training.classifier import Classifier, Deployable
from edgefair.training.networks.batch_norms import check_statistics

if TYPE_CHECKING:
    from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec

OPSET = 20
# Two rows, because a batch of one is specialised away, and any number beside it is promised by the dynamic shape.
EXAMPLE_ROWS = 2
SCORE = "score"


@timed("exporting to ONNX")
def export_classifier(
    classifier: Classifier, spec: ModelSpec, array_shapes: dict[str, tuple[int, ...]], path: Path
) -> onnx.ModelProto:
    """Export preprocessing, network and decision as one graph with a dynamic number of rows.

    Inputs are the spec's, in its order; outputs are its decision, int64 [rows], and its score, float32 [rows, classes].
    The spec is written into the file's metadata.

    Raises:
        ModelError: a batch normalization has no statistics, the network cannot be exported, or the exported graph does
            not give the network's decisions.
    """
    check_statistics(classifier)
    deployable = Deployable(classifier, spec).eval()
    example = tuple(_example(item, array_shapes) for item in spec.inputs)
    rows = torch.export.Dim("rows", min=1)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch_program(
                deployable,
                example,
                opset_version=OPSET,
                input_names=[item.name for item in spec.inputs],
                output_names=[spec.reading.output, spec.reading.score or SCORE],
                dynamic_shapes=(tuple({0: rows} for _ in example),),
            )
    except Exception as error:
        raise ModelError(
            f"the network cannot be exported to ONNX: {str(error).splitlines()[0]}",
            expected="a forward without data-dependent control flow, accepted by torch.export with a dynamic batch",
        ) from error
    if program is None:
        raise ModelError("the exporter returned no ONNX program")
    model = checked_model(program.model_proto, opset=OPSET)
    drop_traces(model)
    widen_byte_casts(model)
    set_spec(model, spec)
    onnx.save_model(model, path)
    return model


def _example(item: InputSpec, array_shapes: dict[str, tuple[int, ...]]) -> torch.Tensor:
    shape = array_shapes[item.array] if item.array is not None else item.row_shape
    return torch.zeros((EXAMPLE_ROWS, *(shape or ())), dtype=getattr(torch, item.dtype))
