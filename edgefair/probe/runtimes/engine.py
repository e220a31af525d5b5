"""An engine of TensorRT's on the device, with the interface of onnxruntime's session."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes.cuda import Device

# TensorRT's names of the types that the protocol carries, with onnxruntime's names and numpy's.
TYPES = {
    "FLOAT": ("tensor(float)", np.float32), "HALF": ("tensor(float16)", np.float16), "INT8": ("tensor(int8)", np.int8),
    "UINT8": ("tensor(uint8)", np.uint8), "INT32": ("tensor(int32)", np.int32), "INT64": ("tensor(int64)", np.int64),
    "BOOL": ("tensor(bool)", np.bool_),
}  # fmt: skip


class Engine:
    """A built engine. `get_inputs`, `get_outputs`, `get_modelmeta`, `get_providers` and `run` are onnxruntime's.

    Attributes:
        facts: digest of the engine, and the device and versions that it is bound to.
    """

    def __init__(
        self, engine: Any, owners: Tuple[Any, Any], device: Device, about: Dict[str, str], facts: Dict[str, Any]
    ) -> None:
        self.facts = facts
        # The runtime and the logger must outlive the engine.
        self._runtime, self._log = owners
        self._engine = engine
        self._device = device
        self._metadata = about
        self._rows: int = facts["max_rows"]
        self._addresses: Dict[str, Tuple[int, int]] = {}
        self._bound: Dict[str, Tuple[int, ...]] = {}
        self._items: Dict[bool, Dict[str, SimpleNamespace]] = {True: {}, False: {}}
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            kind = engine.get_tensor_dtype(name).name
            if kind not in TYPES:
                raise ProbeError("invalid_graph", f"'{name}' is {kind}, which is not supported")
            if engine.get_tensor_location(name).name != "DEVICE":
                raise ProbeError("invalid_graph", f"the numbers of '{name}' are sizes of other tensors: not supported")
            shape = [None if size < 0 else int(size) for size in engine.get_tensor_shape(name)]
            item = SimpleNamespace(name=name, type=TYPES[kind][0], dtype=np.dtype(TYPES[kind][1]), shape=shape)
            self._items["INPUT" in engine.get_tensor_mode(name).name][name] = item
        self._context = engine.create_execution_context()
        if self._context is None:
            raise MemoryError(f"no room for the engine on {device.name}: {self._log.said()}")

    def get_inputs(self) -> List[Any]:
        """Name, type and shape (None for a dynamic size) of every input."""
        return list(self._items[True].values())

    def get_outputs(self) -> List[Any]:
        """Name, type and shape (None for a dynamic size) of every output."""
        return list(self._items[False].values())

    def get_modelmeta(self) -> Any:
        """The ONNX model's metadata."""
        return SimpleNamespace(custom_metadata_map=self._metadata)

    def get_providers(self) -> List[str]:
        """What runs it."""
        return [f"TensorRT {self.facts['tensorrt']}"]

    def run(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """The named outputs for any number of rows: copies to the device, inference, and copies back.

        Raises:
            ValueError: inputs that the engine does not take.
            RuntimeError, MemoryError, CudaError: it fails.
        """
        arrays = self._checked(names, inputs)
        rows = len(next(iter(arrays.values())))
        starts = range(0, max(rows, 1), self._rows)
        parts = [self._run({name: x[at : at + self._rows] for name, x in arrays.items()}, names) for at in starts]
        return parts[0] if len(parts) == 1 else [np.concatenate(outputs) for outputs in zip(*parts)]

    def _checked(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        known = self._items[True]
        if set(inputs) != set(known):
            raise ValueError(f"inputs {', '.join(sorted(inputs))} were given, the engine takes {', '.join(known)}")
        unknown = [name for name in names if name not in self._items[False]]
        if unknown:
            raise ValueError(f"the engine has no output '{unknown[0]}'")
        for name, item in known.items():
            array = inputs[name]
            if array.dtype != item.dtype:
                raise ValueError(f"input '{name}' is {array.dtype}, the engine takes {item.dtype}")
            if array.ndim != len(item.shape) or not len(array):
                raise ValueError(f"input '{name}' has shape {array.shape}, the engine takes {item.shape}")
        return {name: np.ascontiguousarray(inputs[name]) for name in known}

    def _run(self, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> List[np.ndarray]:
        shapes = {name: array.shape for name, array in inputs.items()}
        if shapes != self._bound:
            self._bind(shapes)
        for name, array in inputs.items():
            self._device.upload(self._addresses[name][0], array)
        if not self._context.execute_async_v3(self._device.stream):
            raise RuntimeError(f"TensorRT cannot run it: {self._log.said()}")
        outputs = [np.empty(self._context.get_tensor_shape(name), self._items[False][name].dtype) for name in names]
        for name, array in zip(names, outputs):
            self._device.download(array, self._addresses[name][0])
        self._device.wait()
        return outputs

    def _bind(self, shapes: Dict[str, Tuple[int, ...]]) -> None:
        """Tell the engine the sizes of this batch and where everything lies."""
        self._bound = {}
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise ValueError(f"input '{name}' has shape {shape}: {self._log.said()}")
        lacking = self._context.infer_shapes()
        if lacking:
            raise RuntimeError(f"the sizes of '{lacking[0]}' are not known before it runs")
        for items in self._items.values():
            for name, item in items.items():
                shape = tuple(self._context.get_tensor_shape(name))
                if min(shape, default=0) < 0:
                    raise RuntimeError(f"the size of '{name}' is not known before it runs")
                self._reserve(name, int(np.prod(shape)) * item.dtype.itemsize)
        self._bound = shapes

    def _reserve(self, name: str, size: int) -> None:
        address, room = self._addresses.get(name, (0, 0))
        if size > room:
            if room:
                self._device.free(address)
                del self._addresses[name]
            address = self._device.allocate(size)
            self._addresses[name] = address, size
        self._context.set_tensor_address(name, address)
