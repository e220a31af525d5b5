"""Frames between host and probe: a JSON header and raw array buffers, each with its length in front.

    magic "EFP1" | uint32 header bytes | uint64 payload bytes | header (UTF-8 JSON) | payload

Little-endian. `header["arrays"]` lists name, dtype and shape of the arrays whose C-order bytes make up the payload.
Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any, BinaryIO, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

PROTOCOL = 5
MAGIC = b"EFP1"
_HEAD = struct.Struct("<4sIQ")
MAX_HEADER_BYTES = 1 << 24
# Of one batch, its outputs or a part of a file.
MAX_PAYLOAD_BYTES = 1 << 29
DTYPES = frozenset(
    ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]
)
# numpy makes the name of a type anew each time that it is asked for.
NAMES = {np.dtype(name): name for name in DTYPES}


class WireError(Exception):
    """The stream is not what the protocol says: garbage, or an array that does not fit its bytes."""


class TruncatedError(WireError):
    """The stream ended inside a frame: whoever wrote it is gone."""


def encode_frame(header: Mapping[str, Any], arrays: Optional[Mapping[str, np.ndarray]] = None) -> List[Any]:
    """A frame as buffers to be written one after the other; the arrays are not copied.

    Raises:
        ValueError: an array of a type that the protocol does not carry.
    """
    listed: List[Dict[str, Any]] = []
    buffers: List[Any] = []
    for name, array in (arrays or {}).items():
        if array.dtype not in NAMES:
            raise ValueError(f"array '{name}' has dtype {array.dtype}, which is not supported")
        listed.append({"name": name, "dtype": NAMES[array.dtype], "shape": array.shape})
        if array.nbytes:
            buffers.append(_bytes(array))
    text = json.dumps({**header, "arrays": listed}).encode()
    return [_HEAD.pack(MAGIC, len(text), sum(buffer.nbytes for buffer in buffers)) + text, *buffers]


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and bytes of arrays in their order, hexadecimal."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(json.dumps([name, NAMES[array.dtype], array.shape]).encode())
        if array.nbytes:
            digest.update(_bytes(array))
    return digest.hexdigest()


def write_frame(stream: BinaryIO, buffers: Sequence[Any]) -> None:
    """Send what `encode_frame` made.

    Raises:
        OSError: the other side has gone.
    """
    for buffer in buffers:
        stream.write(buffer)
    stream.flush()


def read_frame(stream: BinaryIO) -> Optional[Tuple[Dict[str, Any], Dict[str, np.ndarray]]]:
    """Receive one frame; None at a clean end of the stream.

    Raises:
        WireError: a truncated or malformed frame.
    """
    head = stream.read(_HEAD.size)
    if not head:
        return None
    if not head.startswith(MAGIC[: len(head)]):
        raise WireError(f"not a frame: {head!r}")
    if len(head) < _HEAD.size:
        raise TruncatedError(f"the stream ended inside a frame: {head!r}")
    _, header_bytes, payload_bytes = _HEAD.unpack(head)
    if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise WireError(f"not a frame: {head!r}")
    try:
        header = json.loads(_exactly(stream, header_bytes))
        described = [(item["name"], _dtype(item["dtype"]), tuple(item["shape"])) for item in header.pop("arrays")]
        _check_names([name for name, _, _ in described])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WireError(f"malformed header: {error}") from error
    arrays: Dict[str, np.ndarray] = {}
    for name, dtype, shape in described:
        if not all(type(size) is int and size >= 0 for size in shape):
            raise WireError(f"array '{name}' has shape {shape}")
        count = 1
        for size in shape:
            count *= size
        payload_bytes -= count * dtype.itemsize
        if payload_bytes < 0:
            raise WireError(f"array '{name}' is larger than its frame")
        try:
            array = np.empty(shape, dtype=dtype)
        except (MemoryError, ValueError, OverflowError) as error:
            raise WireError(f"array '{name}' of shape {shape} does not fit into memory") from error
        if count:
            _fill(stream, _bytes(array))
        arrays[name] = array
    if payload_bytes:
        raise WireError(f"{payload_bytes} bytes of the frame belong to no array")
    return header, arrays


def _check_names(names: List[Any]) -> None:
    if not all(isinstance(name, str) for name in names):
        raise ValueError("the name of an array is not text")
    if len(set(names)) < len(names):
        raise ValueError("two arrays have the same name")


def _dtype(name: str) -> np.dtype:
    if name not in DTYPES:
        raise ValueError(f"dtype '{name}'")
    return np.dtype(name)


def _bytes(array: np.ndarray) -> memoryview:
    """The bytes of an array that is not empty."""
    return np.ascontiguousarray(array).data.cast("B")


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise TruncatedError(f"the stream ended {count - len(data)} bytes early")
    return data


def _fill(stream: BinaryIO, view: memoryview) -> None:
    while len(view):
        count = stream.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise TruncatedError(f"the stream ended {len(view)} bytes early")
        view = view[count:]
