"""The folder of one training run: weights, settings and what they gave."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefair.errors import ModelError
from edgefair.files import write_atomic
from edgefair.probe.regular import read_regular
from edgefair.probe.spec import ModelSpec
from edgefair.training.settings import ModelConfig

RUN_SCHEMA = "edgefair.run/1"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: holds `run.json` and the weights.
        spec: inputs, classes and reading of the model.
        model: network, options and threshold.
        array_shapes: shape of one row of each array input.
        settings: everything that decided the result (seed, methods, digests of the rows, versions).
        metrics: loss per epoch and rates per group on the validation rows.
    """

    folder: Path
    spec: ModelSpec
    model: ModelConfig
    array_shapes: dict[str, tuple[int, ...]]
    settings: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def weights(self) -> Path:
        """The trained weights."""
        return self.folder / WEIGHTS

    def save(self) -> None:
        """Write `run.json`, the last file of a run: a folder without it is unfinished."""
        content = {
            "schema": RUN_SCHEMA,
            "spec": json.loads(self.spec.to_json()),
            "model": self.model.model_dump(mode="json"),
            "array_shapes": self.array_shapes,
            "settings": self.settings,
            "metrics": self.metrics,
        }
        write_atomic(self.folder / "run.json", json.dumps(content, indent=1).encode())


def load_run(folder: Path) -> Run:
    """Read a finished run.

    Raises:
        ModelError: the folder is not a finished run.
    """
    path = folder / "run.json"
    try:
        content = json.loads(read_regular(path))
        if content["schema"] != RUN_SCHEMA:
            raise ValueError(f"schema {content['schema']}")
        for key in ("settings", "metrics"):
            if not isinstance(content[key], dict):
                raise ValueError(f"{key} is a {type(content[key]).__name__}")
        return Run(
            folder=folder,
            spec=ModelSpec.from_json(json.dumps(content["spec"])),
            model=ModelConfig.model_validate(content["model"]),
            array_shapes={name: tuple(shape) for name, shape in content["array_shapes"].items()},
            settings=content["settings"],
            metrics=content["metrics"],
        )
    except FileNotFoundError as error:
        raise ModelError(
            f"'{folder}' is not a finished training run: it has no run.json",
            expected="a folder that `edgefair train` has written to the end",
            fix=f"run `edgefair train --name {folder.name}` (an interrupted one goes on where it stopped)",
        ) from error
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"'{path}' cannot be read: {error}", expected=f"schema {RUN_SCHEMA}") from error
