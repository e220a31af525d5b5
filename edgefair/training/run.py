"""The folder of one training run: weights, settings and what they gave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefair.data.identity.seen import SEEN, SeenRows, read_seen, seen_bytes
from edgefair.errors import ModelError
from edgefair.files import sha256_file, write_atomic
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.probe.regular import read_regular
from edgefair.training.settings import ModelConfig

RUN_SCHEMA = "edgefair.run/2"
WEIGHTS = "model.safetensors"
# Whose digests `run.json` holds.
FILES = (WEIGHTS, SEEN)


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: holds `run.json`, the weights and hashes of the rows that they have seen.
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

    @property
    def seen(self) -> tuple[SeenRows, ...]:
        """The rows that the weights have seen: training and validation.

        Raises:
            ModelError: the file cannot be read.
        """
        return read_seen(self.folder / SEEN)

    def save(self, seen: Sequence[SeenRows]) -> None:
        """Write the seen rows and then `run.json`, the last file of a run: a folder without it is unfinished."""
        write_atomic(self.folder / SEEN, seen_bytes(seen))
        content = {
            "schema": RUN_SCHEMA,
            "files": {name: sha256_file(self.folder / name) for name in FILES},
            "spec": json.loads(self.spec.to_json()),
            "model": self.model.model_dump(mode="json"),
            "array_shapes": self.array_shapes,
            "settings": self.settings,
            "metrics": self.metrics,
        }
        write_atomic(self.folder / "run.json", json.dumps(content, indent=1).encode())


def load_run(folder: Path) -> Run:
    """Read a finished run, and compare its files with their digests.

    Raises:
        ModelError: the folder is not a finished run, or a file was changed.
    """
    path = folder / "run.json"
    try:
        content = json.loads(read_regular(path))
        if content["schema"] != RUN_SCHEMA:
            raise ModelError(
                f"'{path}' has the schema {content['schema']}",
                expected=f"{RUN_SCHEMA}, which says which rows the weights have seen",
                fix=f"train it again: `edgefair train --name {folder.name} --overwrite`",
            )
        for key in ("settings", "metrics"):
            if not isinstance(content[key], dict):
                raise ValueError(f"{key} is a {type(content[key]).__name__}")
        digests = {name: str(content["files"][name]) for name in FILES}
        run = Run(
            folder=folder,
            spec=spec_from_json(json.dumps(content["spec"])),
            model=ModelConfig.model_validate(content["model"]),
            array_shapes={name: tuple(shape) for name, shape in content["array_shapes"].items()},
            settings=content["settings"],
            metrics=content["metrics"],
        )
    except FileNotFoundError as error:
        raise ModelError(
            f"'{folder}' is not a finished training run: it has no run.json",
            expected="a folder of a completed `edgefair train`",
            fix=f"run `edgefair train --name {folder.name}` (an interrupted one resumes where it stopped)",
        ) from error
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"'{path}' cannot be read: {error}", expected=f"schema {RUN_SCHEMA}") from error
    for name, digest in digests.items():
        _check_digest(folder / name, digest)
    return run


def _check_digest(path: Path, expected: str) -> None:
    again = "train it again, or copy the whole folder again"
    try:
        found = sha256_file(path)
    except OSError as error:
        raise ModelError(f"'{path}' cannot be read: {error.strerror}", fix=again) from error
    if found != expected:
        raise ModelError(
            f"'{path}' was modified after training: its sha256 is {found}",
            expected=f"{expected}, as run.json says",
            fix=again,
        )
