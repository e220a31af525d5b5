"""edgefair.yaml as validated models. Every flag of the command line overrides a key of this file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from edgefair.compress.config import CompressConfig
from edgefair.data.config import DataConfig
from edgefair.decision.error_rates import RATE_FORMS
from edgefair.decision.policy import FORMS, Policy
from edgefair.decision.recording.corrections import check_corrections
from edgefair.errors import DataError, EdgefairError, PolicyError, UsageError, did_you_mean
from edgefair.mistakes import MISSING, UNKNOWN, first_mistake
from edgefair.probe.regular import read_regular
from edgefair.training.settings import DebiasConfig, ModelConfig, TrainConfig, TrainPlan
from edgefair.yaml_text import MAX_BYTES, YamlTextError, parse_yaml

# Epochs of a fine-tune without a better one, after which it ends.
PATIENCE = 3
# Training rows for which default budgets no longer change.
MANY_ROWS = 1 << 30
# Of a value that is shown in a message.
SHOWN = 200


class Config(BaseModel):
    """The whole project. Relative paths are relative to the folder of edgefair.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str = Field("model", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Name of the project.")
    seed: int = Field(0, ge=0, description="The one source of randomness.")
    data: DataConfig
    model: ModelConfig = Field(default_factory=ModelConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    finetune: TrainConfig | None = Field(
        None,
        description="Training after a compression of the network. Default: half the epochs of `train`, at half its "
        "learning rate, stopped early if it brings nothing.",
    )
    debias: DebiasConfig = Field(default_factory=DebiasConfig)
    compress: CompressConfig = Field(default_factory=CompressConfig)
    targets: tuple[str, ...] = Field(("local",), min_length=1, description="Devices on which the release is judged.")
    policy: Policy
    runs: Path = Field(Path("runs"), description="Folder of the training runs.")
    output: Path = Field(Path("dist"), description="Folder of the exported bundles.")
    account: Path = Field(
        Path("edgefair.account.jsonl"),
        description="File in which sealed verdicts are entered (policy.audit: sealed). All who judge by the same rows "
        "share it: keep it in git or in a folder that they all reach.",
    )

    _base: Path = PrivateAttr(default_factory=Path.cwd)

    @model_validator(mode="after")
    def _judged_is_measured(self) -> Self:
        for name in self.policy.base_attributes:
            if name not in self.data.sensitive:
                raise ValueError(
                    f"policy.attributes judges '{name}', which data.sensitive does not name"
                    f"{did_you_mean(name, self.data.sensitive)}"
                )
        return self

    @model_validator(mode="after")
    def _finetune_keeps_the_threshold(self) -> Self:
        if self.finetune is not None and self.finetune.refit_threshold:
            raise ValueError(
                "finetune.refit_threshold: a fine-tune keeps the run's threshold; debias.post: [threshold] chooses one "
                "for the compressed file"
            )
        return self

    @model_validator(mode="after")
    def _one_device_trains(self) -> Self:
        if self.finetune is not None and "device" in self.finetune.model_fields_set:
            raise ValueError("finetune.device: train.device says what trains, in a fine-tune too")
        return self

    @property
    def finetune_settings(self) -> TrainPlan:
        """The training after pruning; what is left open is that of many rows until `with_budget` knows them."""
        if self.finetune is not None:
            return self.finetune.for_rows(MANY_ROWS)
        train = self.train.for_rows(MANY_ROWS)
        return train.model_copy(
            update={
                "epochs": max(1, train.epochs // 2),
                "learning_rate": train.learning_rate / 2,
                "keep": "best",
                "patience": PATIENCE,
                "refit_threshold": False,
            }
        )

    @property
    def base(self) -> Path:
        """The folder that relative paths start from."""
        return self._base

    @property
    def bundle_path(self) -> Path:
        """Where `edgefair export` writes, and `edgefair verify` looks, when no path is given."""
        return self.base / self.output / self.project

    @property
    def account_path(self) -> Path:
        """The account of sealed audit sets."""
        return self.base / self.account

    def run_path(self, name: str) -> Path:
        """The folder of a training run.

        Raises:
            UsageError: a name that is not a plain folder name, and could lead out of the runs.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
            raise UsageError(
                f"'{name}' cannot name a run", expected="letters, digits and . _ + -, beginning with a letter or digit"
            )
        return self.base / self.runs / name


# Which error a wrong key is, by the section that it stands in.
_ERROR_OF_SECTION: Mapping[str, type[EdgefairError]] = {"policy": PolicyError, "data": DataError}


def load_config(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read edgefair.yaml, put the overrides (dotted key -> value) over it, and validate the result.

    Raises:
        UsageError: no such file, not YAML, or a key or value that cannot be (PolicyError, DataError by section).
    """
    path = Path(path)
    try:
        raw = parse_yaml(read_regular(path, most=MAX_BYTES).decode())
    except FileNotFoundError as error:
        raise UsageError(
            f"no config '{path}'", expected="a project's edgefair.yaml", fix="write one with `edgefair init`"
        ) from error
    except YamlTextError as error:
        raise UsageError(f"config '{path}' is not YAML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"config '{path}' cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise UsageError(f"config '{path}' holds no keys", fix="write one with `edgefair init`")
    for key, value in (overrides or {}).items():
        _put(raw, key, value)
    return parse_config(raw, base=path.parent.resolve(), source=str(path), overridden=overrides or {})


def parse_config(
    raw: Mapping[str, Any], *, base: Path, source: str = "config", overridden: Collection[str] = ()
) -> Config:
    """Validate a config that is a mapping already.

    Args:
        overridden: dotted keys that do not come from the source, but from a flag or `--set`.

    Raises:
        UsageError: a key or value that cannot be (PolicyError, DataError by section), the first one found.
        PolicyError: error rates beside which nothing could pass.
    """
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise _explained(error, source, overridden) from error
    check_corrections(config.policy)
    config._base = base
    return config


def with_compress(config: Config, **changes: Any) -> Config:
    """The config with keys of `compress:` changed.

    Raises:
        UsageError: a value that cannot be, or steps that contradict.
    """
    raw = config.compress.model_dump() | changes
    try:
        return config.model_copy(update={"compress": CompressConfig.model_validate(raw)})
    except ValidationError as error:
        raise _explained(error, "compress") from error


def with_budget(config: Config, rows: int) -> Config:
    """The config with the training budgets that it leaves to the number of training rows."""
    finetune = config.finetune
    return config.model_copy(
        update={
            "train": config.train.for_rows(rows),
            "finetune": None if finetune is None else finetune.for_rows(rows),
        }
    )


def _put(raw: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    if not all([*sections, last]):
        raise UsageError(f"cannot set '{key}': part of it is empty", expected="a key such as policy.alpha")
    place = raw
    for section in sections:
        inner = place.setdefault(section, {})
        if not isinstance(inner, dict):
            raise UsageError(f"cannot set '{key}': '{section}' is not a section")
        place = inner
    place[last] = value


def _explained(error: ValidationError, source: str, overridden: Collection[str] = ()) -> EdgefairError:
    first = first_mistake(error)
    location = [part for part in first.place if part not in {*FORMS, *RATE_FORMS}]
    key = ".".join(location)
    if any(f"{key}.".startswith(f"{item}.") for item in overridden):
        source = "flag or --set"
    kind = _ERROR_OF_SECTION.get(location[0] if location else "", UsageError)
    if first.kind == UNKNOWN:
        known = _keys_beside(location)
        hint = did_you_mean(location[-1], known)
        return kind(f"{source}: unknown key '{key}'{hint}", expected=f"one of {', '.join(known)}" if known else None)
    if first.kind == MISSING:
        return kind(f"{source}: key '{key}' is missing", fix="`edgefair init` writes a config with every key explained")
    shown = "" if isinstance(first.found, dict | list) else f" (found {repr(first.found)[:SHOWN]})"
    return kind(": ".join(part for part in (source, key, f"{first.why}{shown}") if part))


def _keys_beside(location: list[str]) -> list[str]:
    """The keys that the model around an unknown key has."""
    schema = Config.model_json_schema()
    node = schema
    for part in location[:-1]:
        node = _resolve(node, schema)
        properties = node.get("properties", {})
        node = properties.get(part) or node.get("additionalProperties") or node.get("items") or {}
        if not isinstance(node, dict):
            return []
    return sorted(_resolve(node, schema).get("properties", {}))


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in node:
            node = next((item for item in node[choice] if "$ref" in item), node)
    reference = node.get("$ref")
    if reference is None:
        return node
    resolved: dict[str, Any] = schema["$defs"][reference.rsplit("/", 1)[-1]]
    return resolved
