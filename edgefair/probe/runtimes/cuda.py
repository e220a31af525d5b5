"""Memory and copies of a CUDA device, by the driver's own library: nothing to install beside the driver."""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, Dict, Set, Tuple

import numpy as np

LIBRARY = "libcuda.so.1"
COMPUTE_CAPABILITY = (75, 76)  # CUdevice_attribute: major, minor
NON_BLOCKING = 1  # CUstream_flags
NAME_BYTES = 256


class CudaError(Exception):
    """The driver is absent, finds no device, or refuses; the text says what it was asked for."""


class Device:
    """The first CUDA device, with a stream of its own in the context that the CUDA runtime uses too.

    With the object go its stream and whatever it allocated; the context stays, as TensorRT's memory lies in it.

    Attributes:
        name, compute_capability, driver: as the driver says (`8.7`; the CUDA version that it supports, `12.6`).
        stream: handle of the stream.

    Raises:
        CudaError: no driver, or no device.
    """

    def __init__(self) -> None:
        self._library, device = first_device()
        facts = _facts(self._library, device)
        self.name = facts["device"]
        self.compute_capability = facts["compute_capability"]
        self.driver = facts["cuda_driver"]
        context, stream = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)
        self._call("cuStreamCreate", ctypes.byref(stream), NON_BLOCKING)
        self.stream = int(stream.value or 0)
        self._allocated: Set[int] = set()
        weakref.finalize(self, _release, self._library, self.stream, self._allocated).atexit = False

    def allocate(self, size: int) -> int:
        """Address of `size` bytes on the device.

        Raises:
            MemoryError: it has no such room.
        """
        address = ctypes.c_uint64()
        try:
            self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        except CudaError as error:
            raise MemoryError(f"{size} bytes on {self.name}: {error}") from error
        self._allocated.add(int(address.value))
        return int(address.value)

    def free(self, address: int) -> None:
        """Give memory back."""
        self._allocated.discard(address)
        self._call("cuMemFree_v2", ctypes.c_uint64(address))

    def upload(self, address: int, array: np.ndarray) -> None:
        """Copy a C-contiguous array to the device, in the stream's order; it must live until `wait`."""
        self._call("cuMemcpyHtoDAsync_v2", ctypes.c_uint64(address), *self._host(array))

    def download(self, array: np.ndarray, address: int) -> None:
        """Fill a C-contiguous array from the device, in the stream's order; its content counts after `wait`."""
        data, size, stream = self._host(array)
        self._call("cuMemcpyDtoHAsync_v2", data, ctypes.c_uint64(address), size, stream)

    def wait(self) -> None:
        """Until everything in the stream is done."""
        self._call("cuStreamSynchronize", ctypes.c_void_p(self.stream))

    def _host(self, array: np.ndarray) -> Any:
        return ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes), ctypes.c_void_p(self.stream)

    def _call(self, function: str, *arguments: Any) -> None:
        _call(self._library, function, *arguments)


def first_device() -> Tuple[Any, ctypes.c_int]:
    """The driver's library and the first device, of which nothing is taken yet.

    Raises:
        CudaError: no driver, or no device.
    """
    try:
        library: Any = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise CudaError(f"no CUDA driver on the device ({error})") from error
    _call(library, "cuInit", 0)
    device = ctypes.c_int()
    _call(library, "cuDeviceGet", ctypes.byref(device), 0)
    return library, device


def driver_facts(number: int = 0) -> Dict[str, str]:
    """`device`, `compute_capability` and `cuda_driver` of a device; empty without one. Takes nothing of it."""
    device = ctypes.c_int()
    try:
        library, _ = first_device()
        _call(library, "cuDeviceGet", ctypes.byref(device), number)
        return _facts(library, device)
    except CudaError:
        return {}


def _facts(library: Any, device: ctypes.c_int) -> Dict[str, str]:
    """As the driver says: name, compute capability (`8.7`) and the CUDA version that it supports (`12.6`)."""
    name = ctypes.create_string_buffer(NAME_BYTES)
    _call(library, "cuDeviceGetName", name, NAME_BYTES, device)
    numbers = []
    for attribute in COMPUTE_CAPABILITY:
        value = ctypes.c_int()
        _call(library, "cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
        numbers.append(value.value)
    version = ctypes.c_int()
    _call(library, "cuDriverGetVersion", ctypes.byref(version))
    return {
        "device": name.value.decode(errors="replace"),
        "compute_capability": "{}.{}".format(*numbers),
        "cuda_driver": f"{version.value // 1000}.{version.value % 1000 // 10}",
    }


def _call(library: Any, function: str, *arguments: Any) -> None:
    status = getattr(library, function)(*arguments)
    if status:
        text = ctypes.c_char_p()
        library.cuGetErrorString(status, ctypes.byref(text))
        raise CudaError(f"{function}: {(text.value or b'').decode() or f'error {status}'}")


def _release(library: Any, stream: int, allocated: Set[int]) -> None:
    """Give everything back; where the driver refuses, its context is gone, and all of it with it."""
    library.cuStreamSynchronize(ctypes.c_void_p(stream))
    for address in allocated:
        library.cuMemFree_v2(ctypes.c_uint64(address))
    library.cuStreamDestroy_v2(ctypes.c_void_p(stream))
