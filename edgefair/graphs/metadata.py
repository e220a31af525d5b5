"""What a model's file says of itself beside its graph."""

from __future__ import annotations

from collections.abc import Set

import onnx

from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, ModelSpec


def take_metadata(model: onnx.ModelProto, source: onnx.ModelProto, *, without: Set[str]) -> None:
    """Give a model the metadata of another, or of itself, but for some keys."""
    kept = [item for item in source.metadata_props if item.key not in without]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)


def set_spec(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Write the spec into the model's metadata, replacing an older one."""
    take_metadata(model, model, without={SPEC_METADATA_KEY})
    model.metadata_props.add(key=SPEC_METADATA_KEY, value=spec.to_json())
