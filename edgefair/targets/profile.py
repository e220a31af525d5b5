"""Device profiles: one YAML file of `deploy/targets/` each."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgefair.errors import UsageError, did_you_mean
from edgefair.resources import named_file


class LatencyRules(BaseModel):
    """How long latency is measured (MLPerf single stream: a minimum duration and a minimum count)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measured: bool = Field(True, description="False for emulated devices: their clock says nothing.")
    warmup: int = Field(50, ge=0, description="Queries before the first that counts.")
    min_queries: int = Field(1024, ge=1, description="Least number of queries per model.")
    min_seconds: float = Field(1.0, ge=0, description="Least duration per model.")
    max_seconds: float = Field(60.0, gt=0, description="Longest duration per model, even if queries are lacking.")


class TargetProfile(BaseModel):
    """A device and how models run on it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the target.")
    transport: Literal["local"] = Field(description="How the machine is reached.")
    threads: int = Field(1, ge=1, description="Threads of one inference.")
    providers: tuple[str, ...] = Field(("CPUExecutionProvider",), description="Execution providers, in order.")
    optimization: Literal["disable", "basic", "extended", "all"] = Field("all", description="Graph optimization.")
    config: dict[str, str] = Field(default_factory=dict, description="onnxruntime session config entries.")
    reduce_range: Literal["auto"] | bool = Field("auto", description="7-bit INT8 weights for this processor.")
    latency: LatencyRules = Field(default_factory=LatencyRules, description="How latency is measured.")


def load_profile(name_or_path: str) -> TargetProfile:
    """A shipped profile by name, or any by path.

    Raises:
        UsageError: no such target, or a file that is not a profile.
    """
    path = named_file("deploy/targets", name_or_path, what="target")
    try:
        raw = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"target profile '{path}' cannot be read: {' '.join(str(error).split())}") from error
    try:
        return TargetProfile.model_validate(raw)
    except ValidationError as error:
        raise _explained(error, path) from error


def _explained(error: ValidationError, path: Path) -> UsageError:
    first = error.errors(include_url=False)[0]
    *section, last = [str(part) for part in first["loc"]] or [""]
    key = ".".join([*section, last])
    if first["type"] == "extra_forbidden":
        known = list((LatencyRules if section else TargetProfile).model_fields)
        return UsageError(
            f"target profile '{path}': unknown key '{key}'{did_you_mean(last, known)}",
            expected=f"one of {', '.join(known)}",
        )
    return UsageError(f"target profile '{path}': {key}: {first['msg']} (found {first.get('input')!r})")
