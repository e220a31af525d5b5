"""What goes into a model and comes out of it, for sessions that are not onnxruntime's but have its interface."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

# Types that the protocol carries, by numpy's names, with onnxruntime's.
ORT_NAMES = {
    "float32": "tensor(float)", "float64": "tensor(double)", "float16": "tensor(float16)", "int64": "tensor(int64)",
    "int32": "tensor(int32)", "int16": "tensor(int16)", "int8": "tensor(int8)", "uint64": "tensor(uint64)",
    "uint32": "tensor(uint32)", "uint16": "tensor(uint16)", "uint8": "tensor(uint8)", "bool": "tensor(bool)",
}  # fmt: skip


def port(name: str, dtype: str, shape: Sequence[Optional[int]], **more: Any) -> SimpleNamespace:
    """An input or output. dtype: numpy's name of what callers give or get. shape: None for a dynamic size."""
    return SimpleNamespace(name=name, type=ORT_NAMES[dtype], dtype=np.dtype(dtype), shape=list(shape), **more)


class PortedSession:
    """The part of onnxruntime's interface that describes a model, and a check of what a caller gives it.

    Attributes:
        asks_one_by_one: whether a batch is decided row by row anyway, because the file has room for one row.
    """

    asks_one_by_one = False

    def __init__(
        self, inputs: Sequence[SimpleNamespace], outputs: Sequence[SimpleNamespace], about: Mapping[str, str], on: str
    ) -> None:
        """about: the model's own metadata. on: what runs it."""
        self.inputs: Dict[str, SimpleNamespace] = {item.name: item for item in inputs}
        self.outputs: Dict[str, SimpleNamespace] = {item.name: item for item in outputs}
        self._about, self._on = dict(about), on

    def get_inputs(self) -> List[Any]:
        """Name, type and shape (None for a dynamic size) of every input."""
        return list(self.inputs.values())

    def get_outputs(self) -> List[Any]:
        """As `get_inputs`, of every output."""
        return list(self.outputs.values())

    def get_modelmeta(self) -> Any:
        """The model's own metadata."""
        return SimpleNamespace(custom_metadata_map=self._about)

    def get_providers(self) -> List[str]:
        """What runs it."""
        return [self._on]

    def check(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> None:
        """Refuse what the model does not take as it is: runtimes convert, stretch or keep old values where it is not.

        Raises:
            ValueError: other inputs, or one of another type or shape; an output that is not there.
        """
        if inputs.keys() != self.inputs.keys():
            raise ValueError(f"inputs {', '.join(sorted(inputs))} were given, the model takes {', '.join(self.inputs)}")
        for name, array in inputs.items():
            item = self.inputs[name]
            if array.dtype != item.dtype:
                raise ValueError(f"input '{name}' is {array.dtype}, the model takes {item.dtype}")
            given, wanted = array.shape[1:], item.shape[1:]
            if array.ndim != len(item.shape) or any(b not in (None, a) for a, b in zip(given, wanted)):
                raise ValueError(f"input '{name}' has shape {list(array.shape)}, the model takes {item.shape}")
        for name in names:
            if name not in self.outputs:
                raise ValueError(f"the model has no output '{name}'")
