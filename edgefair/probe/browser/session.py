"""A model in the page, with the interface of onnxruntime's session."""

from __future__ import annotations

import hashlib
import itertools
import re
import weakref
from types import SimpleNamespace
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from edgefair.probe.browser.page import Page, PageError
from edgefair.probe.browser.server import Frame
from edgefair.probe.errors import ProbeError
from edgefair.probe.onnx_files.onnx_file import read_onnx

# onnxruntime's names of types, where they are not those of the page and of the protocol.
TYPES = {"float32": "float", "float64": "double"}
# https://github.com/microsoft/onnxruntime/blob/main/include/onnxruntime/core/session/onnxruntime_c_api.h, OrtErrorCode
INVALID_ARGUMENT = "2"
# What onnxruntime-web, the browser and the page say where a model or its inputs are not to blame.
CODE = re.compile(r".*ERROR_CODE: (?P<code>\d+), ERROR_MESSAGE: ", re.DOTALL)
NO_BACKEND = "no available backend found"
FULL = re.compile(r"allocate memory|bad_alloc|out of memory|allocation failed", re.IGNORECASE)
REFUSED = re.compile(r"is missing in 'feeds'|invalid input '")


class WebSession:
    """See `probe.runtimes.base`: `Session`, and `RemoteSession`.

    Attributes:
        adapter: what WebGPU runs it on, as the browser says; None for WebAssembly.
    """

    _numbers = itertools.count(1)

    def __init__(self, page: Page, content: bytes, *, provider: str, level: str, entries: Mapping[str, str]) -> None:
        """Load it, and check that the page did so from these bytes.

        Raises:
            ProbeError: the page cannot.
        """
        self._page, self._provider, self._number = page, provider, next(self._numbers)
        self._metadata = read_onnx(content).metadata
        request = {
            "session": self._number,
            "release": [page.forgotten.pop() for _ in list(page.forgotten)],
            "provider": provider,
            "optimization": level,
            "entries": dict(entries),
        }
        self._about, _ = self._ask("load", request, {"model": np.frombuffer(content, np.uint8)}, "invalid_graph")
        if self._about["sha256"] != hashlib.sha256(content).hexdigest():
            raise ProbeError("run_failed", f"the page loaded other bytes, of sha256 {self._about['sha256']}")
        self.adapter = self._about["adapter"]
        weakref.finalize(self, page.forgotten.append, self._number)

    def get_inputs(self) -> List[Any]:
        """Name, type and shape of every input, as the page says."""
        return [_item(item) for item in self._about["inputs"]]

    def get_outputs(self) -> List[Any]:
        """Name, type and shape of every output, as the page says."""
        return [_item(item) for item in self._about["outputs"]]

    def get_modelmeta(self) -> Any:
        """The model's own metadata, which onnxruntime-web does not tell."""
        return SimpleNamespace(custom_metadata_map=self._metadata)

    def get_providers(self) -> List[str]:
        """What runs it: the page asks for this one alone."""
        return [self._provider]

    def run(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """The named outputs of a batch.

        Raises:
            ProbeError: the page refuses the inputs, or cannot run it.
        """
        return self._run(names, inputs, alone=False)

    def run_alone(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """As `run`, each row as a batch of its own."""
        return self._run(names, inputs, alone=True)

    def query_times(
        self, queries: Sequence[Tuple["WebSession", List[str], int]], pool: Mapping[str, np.ndarray]
    ) -> List[int]:
        """Nanoseconds of each query, one after the other, around the call alone, by the page's clock.

        Raises:
            ProbeError: as `run`.
        """
        if self._page.pool is not pool:
            self._ask("fill", *_split(pool), "run_failed")
            self._page.pool = pool
        asked = [[session._number, names, row] for session, names, row in queries]
        reply, _ = self._ask("time", {"queries": asked}, {}, "run_failed")
        return [round(milliseconds * 1e6) for milliseconds in reply["milliseconds"]]

    def _run(self, names: Sequence[str], inputs: Mapping[str, np.ndarray], *, alone: bool) -> List[np.ndarray]:
        header, arrays = _split(inputs)
        request = {**header, "session": self._number, "outputs": list(names), "alone": alone}
        _, outputs = self._ask("run", request, arrays, "run_failed")
        return [outputs[name] for name in names]

    def _ask(self, do: str, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], otherwise: str) -> Frame:
        try:
            return self._page.ask(do, header, arrays)
        except PageError as error:
            raise explained(error, otherwise) from error


def explained(error: PageError, otherwise: str) -> ProbeError:
    """What went wrong in the page, as the host may act on it.

    otherwise: the kind of an error that says nothing of its cause.
    """
    said = str(error)
    found = CODE.match(said)
    kind = error.kind or otherwise
    if FULL.search(said):
        kind = "out_of_memory"
    elif NO_BACKEND in said:
        kind = "no_runtime"
    elif otherwise == "run_failed" and (REFUSED.search(said) or (found and found["code"] == INVALID_ARGUMENT)):
        kind = "bad_input"
    return ProbeError(kind, (said if found is None else said[found.end() :]).strip().splitlines()[0])


def _split(inputs: Mapping[str, np.ndarray]) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
    """Texts for the header of a request, and the arrays that frames carry."""
    texts = [
        {"name": name, "shape": list(array.shape), "values": [str(text) for text in array.reshape(-1)]}
        for name, array in inputs.items()
        if array.dtype == object
    ]
    return {"texts": texts}, {name: array for name, array in inputs.items() if array.dtype != object}


def _item(said: Mapping[str, Any]) -> Any:
    kind = f"tensor({TYPES.get(said['type'], said['type'])})" if said["isTensor"] else "no tensor"
    return SimpleNamespace(name=said["name"], type=kind, shape=said.get("shape", []))
