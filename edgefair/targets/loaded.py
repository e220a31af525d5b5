"""What a device says of a model that it has loaded, and what may be believed of its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import ModelError

# The runtime's names of the types that the protocol carries.
NUMPY_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint64)": "uint64",
    "tensor(uint32)": "uint32",
    "tensor(uint16)": "uint16",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}


@dataclass(frozen=True)
class LoadedModel:
    """A model on the device.

    Attributes:
        sha256: digest of the bytes that the device made its session from, equal to the host's file.
        inputs, outputs: name, type and shape (None for a dynamic size) as the runtime reports them.
        metadata: the model's own metadata.
        providers: execution providers that are really active.
    """

    name: str
    path: Path
    sha256: str
    bytes: int
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    metadata: dict[str, str]
    providers: tuple[str, ...]

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any], *, name: str, path: Path) -> LoadedModel:
        """The device's description of the model at `path`.

        Raises:
            KeyError, TypeError, ValueError: the reply is not a description.
        """
        return cls(
            name=name,
            path=path,
            sha256=str(reply["sha256"]),
            bytes=int(reply["bytes"]),
            inputs=tuple(_signature(item) for item in reply["inputs"]),
            outputs=tuple(_signature(item) for item in reply["outputs"]),
            metadata={str(key): str(text) for key, text in reply["metadata"].items()},
            providers=tuple(str(item) for item in reply["providers"]),
        )

    def output_types(self, names: Sequence[str]) -> dict[str, np.dtype[Any]]:
        """The numpy type of each named output.

        Raises:
            ModelError: there is no such output, or it is not an array of numbers.
        """
        known = {item["name"]: item["type"] for item in self.outputs}
        for name in names:
            if name not in known:
                raise ModelError(
                    f"'{self.path}' has no output '{name}'", expected=f"its outputs: {describe(self.outputs)}"
                )
            if known[name] not in NUMPY_TYPES:
                raise ModelError(
                    f"output '{name}' of '{self.path}' is {known[name]}",
                    expected="an array of numbers",
                    fix="read another output, or convert the model without text labels and maps (ZipMap)",
                )
        return {name: np.dtype(NUMPY_TYPES[known[name]]) for name in names}


def untrustworthy(
    arrays: Mapping[str, NDArray[Any]], types: Mapping[str, np.dtype[Any]], rows: int
) -> tuple[str, str] | None:
    """The first thing in the outputs of `rows` rows that is not as it must be (what was found, and expected), or None.

    Args:
        types: the numpy type of every output that was asked for.
    """
    for name, dtype in types.items():
        array = arrays.get(name)
        if array is None:
            return f"the device returned no output '{name}'", "every output that was asked for"
        if array.dtype != dtype:
            return f"output '{name}' is {array.dtype}", f"{dtype}, as the model says"
        if not array.ndim or len(array) != rows:
            return f"output '{name}' has shape {array.shape}", f"{rows} rows, as were sent"
        if dtype.kind == "f" and not np.isfinite(array).all():
            bad = int(np.count_nonzero(~np.isfinite(array).reshape(rows, -1).all(axis=1)))
            return (
                f"output '{name}' is NaN or infinite in {bad} of {rows} rows",
                "finite outputs: a row without a decision cannot be judged",
            )
    return None


def describe(items: Sequence[Mapping[str, Any]]) -> str:
    """Inputs or outputs in words: name, type, shape."""
    return ", ".join(f"{item['name']} {item['type']} {shape_text(item['shape'])}" for item in items)


def shape_text(shape: Sequence[int | None]) -> str:
    """A shape with `?` for a dynamic size."""
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def _signature(item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": str(item["name"]),
        "type": str(item["type"]),
        "shape": [None if size is None else int(size) for size in item["shape"]],
    }
