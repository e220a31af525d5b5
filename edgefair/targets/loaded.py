"""A model that a device has loaded: what its file says of it, and what may be believed of the device's answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefair.errors import ModelError, UsageError
from edgefair.probe.formats import NAMES as FORMATS
from edgefair.probe.formats import format_named, format_of
from edgefair.probe.formats.base import FileFormat
from edgefair.probe.formats.onnx import FORMAT as ONNX
from edgefair.probe.regular import read_regular
from edgefair.targets.fault import Fault

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


# What else a file can be that does not begin as one of another format does.
OTHERS = "".join(f", or {item.name} ({item.suffix})" for item in map(format_named, FORMATS) if item is not ONNX)
# `bytes` is a field of a loaded model.
Content = bytes
NOTHING_BUILT: Mapping[str, Callable[[Any], Any]] = {}


class UnlikeFileError(Exception):
    """A device describes a model otherwise than its file does: what it said, and what the file says."""

    def __init__(self, found: str, expected: str | None = None) -> None:
        super().__init__(found)
        self.expected = expected


@dataclass(frozen=True)
class LoadedModel:
    """A model on the device, as its file describes it.

    Attributes:
        sha256, bytes: digest and size of the host's file, from whose bytes the device made its session.
        inputs, outputs: name, type and shape (None for a dynamic size). The device's runtime fills in only sizes that
            the file leaves open.
        metadata: the model's own metadata.
        providers: execution providers that are really active.
        engine: what the device built or found to run it, and what that is bound to; empty where there is neither.
        format: of the file.
    """

    name: str
    path: Path
    sha256: str
    bytes: int
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    metadata: dict[str, str]
    providers: tuple[str, ...]
    engine: dict[str, Any]
    format: FileFormat = ONNX

    @classmethod
    def of(
        cls,
        content: Content,
        reply: Mapping[str, Any],
        *,
        name: str,
        path: Path,
        engine_facts: Mapping[str, Callable[[Any], Any]] = NOTHING_BUILT,
        file_format: FileFormat = ONNX,
    ) -> LoadedModel:
        """The model whose file holds `content`, where the device's description of it says the same.

        Args:
            engine_facts: see `HostRuntime`.

        Raises:
            ValueError: the content is not a model of that format in one file.
            UnlikeFileError: the device describes another model, or none.
        """
        file_format.check_whole(content)
        file = file_format.read(content)
        digest = hashlib.sha256(content).hexdigest()
        try:
            said = (str(reply["sha256"]), int(reply["bytes"]))
            inputs = _filled(file.inputs, reply["inputs"], "inputs")
            outputs = _filled(file.outputs, reply["outputs"], "outputs")
            metadata = {str(key): str(text) for key, text in reply["metadata"].items()}
            providers = tuple(str(item) for item in reply["providers"])
            engine = _engine(reply.get("engine"), engine_facts)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnlikeFileError(f"the probe's description of the model is invalid: {error!r}") from error
        if said != (digest, len(content)):
            raise UnlikeFileError(
                f"the device loaded sha256 {said[0]} ({said[1]} bytes)",
                f"{digest} ({len(content)} bytes), the file '{path}'",
            )
        other = sorted(key for key in metadata.keys() | file.metadata if metadata.get(key) != file.metadata.get(key))
        if other:
            raise UnlikeFileError(
                f"the device reports a different '{other[0]}' in the model's metadata than the file '{path}'",
                "the metadata of the file whose digest it loaded",
            )
        return cls(name, path, digest, len(content), inputs, outputs, file.metadata, providers, engine, file_format)

    @classmethod
    def unloaded(cls, content: Content, *, path: Path) -> LoadedModel:
        """The model whose file holds `content`, before any device has loaded it: None for a shape that it leaves open.

        Raises:
            ModelError: the content is not a model.
        """
        file_format = format_of(content)
        try:
            file = file_format.read(content)
        except ValueError as error:
            raise unloadable(path, str(error), file_format) from error
        digest = hashlib.sha256(content).hexdigest()
        about = file.metadata
        return cls("model", path, digest, len(content), file.inputs, file.outputs, about, (), {}, file_format)

    @property
    def takes_one_row(self) -> bool:
        """Whether the graph was written for one row at a time, and can be asked for no more."""
        return any(item["shape"] and item["shape"][0] == 1 for item in self.inputs)

    @property
    def step(self) -> float:
        """The largest distance between two numbers that a quantized output can hold; 0 where none is quantized."""
        return max((item.get("step", 0.0) for item in self.outputs), default=0.0)

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


def read_model(path: Path) -> Content:
    """The bytes of a file that holds a whole model, of the format that it begins as.

    Raises:
        ModelError: it cannot be read, or does not.
    """
    content = read_content(path)
    check_content(path, content, format_of(content))
    return content


def refused(model: LoadedModel, why: str) -> UsageError:
    """What to raise where the runtime refuses the inputs of a model."""
    return UsageError(
        f"'{model.path}' refuses its inputs: {why}", expected="inputs that match the model's spec or config"
    )


def read_content(path: Path) -> Content:
    """The bytes of a file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return read_regular(path)
    except OSError as error:
        raise ModelError(f"model file '{path}' cannot be read: {error.strerror}") from error


def check_content(path: Path, content: Content, file_format: FileFormat) -> None:
    """Refuse a file that is not a model of a format, or not all of one (ModelError)."""
    try:
        file_format.check_whole(content)
    except ValueError as error:
        raise unloadable(path, str(error), file_format) from error


def unloadable(path: Path, why: str, file_format: FileFormat = ONNX) -> ModelError:
    """The error for a file that is not a model, or not all of one."""
    return ModelError(
        f"'{path}' cannot be loaded: {why}",
        expected=f"a complete, valid {file_format.name} file" + ("" if file_format is not ONNX else OTHERS),
        fix="export or copy it again",
    )


def untrustworthy(arrays: Mapping[str, NDArray[Any]], types: Mapping[str, np.dtype[Any]], rows: int) -> Fault | None:
    """The first thing in the outputs of `rows` rows that is not as it must be.

    Args:
        types: the numpy type of every output that was requested.
    """
    unasked = sorted(arrays.keys() - types.keys())
    if unasked:
        return Fault(f"the device returned output '{unasked[0]}'", "only the outputs that were requested")
    for name, dtype in types.items():
        array = arrays.get(name)
        if array is None:
            return Fault(f"the device returned no output '{name}'", "every output that was requested")
        if array.dtype != dtype:
            return Fault(f"output '{name}' is {array.dtype}", f"{dtype}, as the model says")
        if not array.ndim or len(array) != rows:
            return Fault(f"output '{name}' has shape {array.shape}", f"{rows} rows, as were sent")
        if dtype.kind == "f" and not np.isfinite(array).all():
            bad = int(np.count_nonzero(~np.isfinite(array).reshape(rows, -1).all(axis=1)))
            return Fault(
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


def _engine(said: Any, facts: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """What a device says that it built, if anything."""
    if said is None:
        return {}
    if not facts:
        raise ValueError("it built an engine, and its runtime builds none")
    return {key: kind(said[key]) for key, kind in facts.items()}


def _filled(
    file: Sequence[Mapping[str, Any]], said: Sequence[Mapping[str, Any]], what: str
) -> tuple[dict[str, Any], ...]:
    """Inputs or outputs of the file; the device's shape where the file says nothing of a size."""
    told = {str(item["name"]): item for item in said}
    names = sorted((item["name"], item["type"]) for item in file)
    if names != sorted((str(item["name"]), str(item["type"])) for item in said):
        raise UnlikeFileError(
            f"the device reports that the model's {what} are {_named((name, told[name]['type']) for name in told)}",
            f"{_named(names)}, as the file says",
        )
    return tuple({**item, "shape": _shape(item["shape"], told[item["name"]]["shape"])} for item in file)


def _named(items: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in items) or "none"


def _shape(file: Sequence[int | None] | None, said: Sequence[Any]) -> list[int | None]:
    sizes = [None if size is None else int(size) for size in said]
    if file is None:
        return sizes
    if len(sizes) != len(file):
        return list(file)
    return [own if own is not None else other for own, other in zip(file, sizes, strict=True)]
