"""Which low precision a model file gets, and with how many bits on the processors that it is for."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from edgefair.compress.low_precision import LOW_PRECISIONS, LowPrecision
from edgefair.config import Config
from edgefair.errors import ModelError, UsageError
from edgefair.exporters.conversion import narrow_tensor
from edgefair.probe.device import saturates_int8
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.targets import load_profile
from edgefair.workflow.compression.recipes import kernels_of
from edgefair.workflow.kept_targets import KeptTargets
from edgefair.workflow.models.reference import Reference


@dataclass(frozen=True)
class Numerics:
    """Low precision of a model file.

    Attributes:
        kind: None where all stays in float.
        reduce_range: whether every INT8 weight has 7 bits, because a target's processor saturates 16-bit sums.
    """

    kind: type[LowPrecision] | None
    reduce_range: bool


def numerics_of(config: Config, reference: Reference, targets: KeptTargets) -> Numerics:
    """What the config asks for, and what its targets need.

    Devices are asked now: later they may be busy, and what cannot be reached is found before hours are spent.

    Args:
        reference: the model before compression.
        targets: opens those that are asked.

    Raises:
        UsageError: steps that contradict.
        ModelError: a graph that cannot be quantized, or is in half precision already.
        MeasurementError: a target that cannot be reached.
    """
    kind = _kind(config, reference.spec)
    if kind is None:
        return Numerics(kind, reduce_range=False)
    model = onnx.load_model(reference.path)
    _check_wide(model, str(reference.settings.get("model", reference.path.name)))
    kind.check(model)
    reduce_range = kind.unsaturated is not None and any(_reduce_range(name, targets) for name in config.targets)
    return Numerics(kind, reduce_range=reduce_range)


def _check_wide(model: onnx.ModelProto, name: str) -> None:
    """Refuse a model in half precision: compressed further it is larger, and no reference for what compression did."""
    narrow = narrow_tensor(model)
    if narrow is not None:
        raise ModelError(
            f"'{name}' is in half precision: {narrow}",
            expected="an FP32 model, from which INT8 and FP16 are made",
            fix="export the model in FP32, or omit --int8 and --fp16",
        )


def _kind(config: Config, spec: ModelSpec) -> type[LowPrecision] | None:
    name = "fp16" if config.compress.fp16 else config.compress.int8
    kernels = kernels_of(config)
    if name == "auto":
        texts = any(item.tokens is not None for item in spec.inputs)
        name = "dynamic" if texts and not any("dynamic" in item.lacks for item in kernels) else "static"
    kind = None if name is None else LOW_PRECISIONS[name]
    without = next((item.vendor for item in kernels if name in item.lacks), None)
    if kind is not None and without is not None:
        raise UsageError(f"{without}, which runs the model on a target, has no {kind.called}", fix="use --int8 static")
    if config.compress.qat and (kind is None or kind.uncalibrated is not None):
        raise UsageError(
            "qat trains for static INT8, and texts get dynamic INT8", fix="add --int8 static, or drop --qat"
        )
    return kind


def _reduce_range(target: str, targets: KeptTargets) -> bool:
    """Whether a target's processor needs 7-bit weights: as its profile says, else as its fingerprint says."""
    profile = load_profile(target)
    if isinstance(profile.reduce_range, bool):
        return profile.reduce_range
    with targets.open(profile) as probe:
        return saturates_int8(probe.device)
