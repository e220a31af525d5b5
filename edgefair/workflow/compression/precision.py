"""Which low precision a model file gets, and with how many bits on the processors that it is for."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from edgefair.compress.quantization.prepare import check_quantizable
from edgefair.compress.search.search import Kind
from edgefair.config import Config
from edgefair.errors import ModelError, UsageError
from edgefair.exporters.conversion import narrow_tensor
from edgefair.probe.device import saturates_int8
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.targets import load_profile, open_target
from edgefair.workflow.compression.recipes import kernels_of
from edgefair.workflow.models.dense import Dense


@dataclass(frozen=True)
class Numerics:
    """Low precision of a model file.

    Attributes:
        kind: None where all stays in float.
        reduce_range: whether every INT8 weight has 7 bits, because a target's processor saturates 16-bit sums.
    """

    kind: Kind | None
    reduce_range: bool


def numerics_of(config: Config, dense: Dense) -> Numerics:
    """What the config asks for, and what its targets need.

    Devices are asked now: later they may be busy, and what cannot be reached is found before hours are spent.

    Args:
        dense: the model before compression.

    Raises:
        UsageError: steps that contradict.
        ModelError: a graph that cannot be quantized, or is in half precision already.
        MeasurementError: a target that cannot be reached.
    """
    kind = _kind(config, dense.spec)
    if kind is None:
        return Numerics(kind, reduce_range=False)
    model = onnx.load_model(dense.path)
    _check_wide(model, str(dense.settings.get("model", dense.path.name)))
    if kind == "fp16":
        return Numerics(kind, reduce_range=False)
    check_quantizable(model, kind)
    if kind == "static":
        _check_batches(model)
    return Numerics(kind, reduce_range=any(_reduce_range(name) for name in config.targets))


def _check_batches(model: onnx.ModelProto) -> None:
    """Refuse a graph for one row at a time, whose ranges cannot be observed on batches of calibration rows."""
    for item in model.graph.input:
        dims = item.type.tensor_type.shape.dim
        if dims and dims[0].dim_value == 1:
            raise ModelError(
                f"input '{item.name}' takes exactly 1 row at a time, and static INT8 is calibrated on batches",
                expected="a dynamic first dimension",
                fix="export it with a dynamic batch; as it is it can be verified, and exported without --int8",
            )


def _check_wide(model: onnx.ModelProto, name: str) -> None:
    """Refuse a model in half precision: compressed further it is larger, and no reference for what compression did."""
    narrow = narrow_tensor(model)
    if narrow is not None:
        raise ModelError(
            f"'{name}' is in half precision: {narrow}",
            expected="an FP32 model, from which INT8 and FP16 are made",
            fix="export the model in FP32, or leave --int8 and --fp16 out",
        )


def _kind(config: Config, spec: ModelSpec) -> Kind | None:
    if config.compress.fp16:
        return "fp16"
    kind = config.compress.int8
    without = next((item.vendor for item in kernels_of(config) if not item.dynamic_int8), None)
    if kind == "auto":
        texts = any(item.tokens is not None for item in spec.inputs)
        kind = "dynamic" if texts and without is None else "static"
    if kind == "dynamic" and without is not None:
        raise UsageError(f"{without}, which runs the model on a target, has no dynamic INT8", fix="use --int8 static")
    if config.compress.qat and kind != "static":
        raise UsageError(
            "qat trains for static INT8, and texts get dynamic INT8", fix="add --int8 static, or drop --qat"
        )
    return kind


def _reduce_range(target: str) -> bool:
    """Whether a target's processor needs 7-bit weights: as its profile says, else as its fingerprint says."""
    profile = load_profile(target)
    if isinstance(profile.reduce_range, bool):
        return profile.reduce_range
    with open_target(profile) as probe:
        return saturates_int8(probe.device)
