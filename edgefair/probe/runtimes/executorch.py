"""ExecuTorch: a program as it is, by the backends that it was lowered to."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from edgefair.probe.errors import ProbeError, error_kind, first_line
from edgefair.probe.formats.base import FileFormat
from edgefair.probe.formats.executorch import FORMAT as EXECUTORCH
from edgefair.probe.formats.executorch import METHOD, backends_of, most_rows
from edgefair.probe.runtimes.ports import ORT_NAMES, PortedSession, port

INSTALL = "`pip install executorch` (edgefair[executorch]), which brings torch, for the Python that runs the probe"
NUMPY_NAMES = {ort: name for name, ort in ORT_NAMES.items()}


class ExecuTorch:
    """ExecuTorch's Python runtime, which takes torch's tensors. See `probe.runtimes.base.Runtime`."""

    format: FileFormat = EXECUTORCH
    levels: Sequence[str] = ("all",)
    opens_bundles: bool = True

    def facts(self) -> Dict[str, Any]:
        """Its version, as its package says."""
        try:
            return {"executorch": importlib.metadata.version("executorch")}
        except importlib.metadata.PackageNotFoundError:
            return {}

    def open(self, content: bytes, options: Mapping[str, Any]) -> Tuple["ExecuTorchSession", Dict[str, Any]]:
        """The program's method `forward`. There are no settings but the number of threads, of the whole process.

        Raises:
            ProbeError: `no_runtime` without ExecuTorch or a backend of the program; `invalid_graph` where it cannot
                load it; `bad_request` for settings.
        """
        if options["config"] or options["optimization"] != "all":
            raise ProbeError("bad_request", "ExecuTorch has no settings: a program is compiled already")
        try:
            library: Any = importlib.import_module("executorch.extension.pybindings.portable_lib")
            runtime: Any = importlib.import_module("executorch.runtime").Runtime.get()
        except Exception as error:
            how = "is not installed" if isinstance(error, ModuleNotFoundError) else "cannot be imported"
            raise ProbeError("no_runtime", f"ExecuTorch {how} on the device ({error}): {INSTALL}") from error
        backends = backends_of(content)
        absent = [name for name in backends if not runtime.backend_registry.is_available(name)]
        if absent:
            raise ProbeError(
                "no_runtime",
                f"the program was lowered to {', '.join(absent)}, and ExecuTorch here has only "
                f"{', '.join(runtime.backend_registry.registered_backend_names)}",
            )
        try:
            library._unsafe_reset_threadpool(int(options["threads"]))
            used = int(library._threadpool_get_thread_count())
            if used != int(options["threads"]):
                why = f"ExecuTorch runs {used} threads, and the profile says {options['threads']}: change `threads`"
                raise ProbeError("no_runtime", why)
            session = ExecuTorchSession(runtime.load_program(content), content)
        except ProbeError:
            raise
        except Exception as error:
            raise ProbeError(error_kind(error, "invalid_graph"), first_line(error)) from error
        return session, {"backends": ", ".join(backends) or "none"}


RUNTIME = ExecuTorch()


class ExecuTorchSession(PortedSession):
    """A method of a program. It takes as many rows at once as the program has room for, one of a fixed batch."""

    def __init__(self, program: Any, content: bytes) -> None:
        file = EXECUTORCH.read(content)
        inputs, outputs = (list(map(_port, side)) for side in (file.inputs, file.outputs))
        super().__init__(inputs, outputs, file.metadata, "ExecuTorch")
        self._torch: Any = importlib.import_module("torch")
        self._program = program  # the method runs in its memory
        self._method = program.load_method(METHOD)
        self._places = {item.name: place for place, item in enumerate(outputs)}
        self._most = most_rows(content)
        self.asks_one_by_one = any(item.shape[0] is not None for item in inputs)
        found = self._method.metadata
        if found.num_inputs() != len(inputs) or found.num_outputs() != len(outputs):
            raise ValueError("the runtime finds another number of inputs or outputs than the file lists")

    def run(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """The named outputs for any number of rows.

        Raises:
            ValueError: inputs that the program does not take.
            RuntimeError: it fails.
        """
        rows = len(next(iter(inputs.values()))) if inputs else 0
        if rows <= self._most:
            return self._run(names, inputs)
        starts = range(0, rows, self._most)
        parts = [self._run(names, {name: x[at : at + self._most] for name, x in inputs.items()}) for at in starts]
        return [np.concatenate(each) for each in zip(*parts)]

    def _run(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        self.check(names, inputs)
        tensors = [self._torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in self.inputs]
        found = self._method.execute(tensors)
        # The next run overwrites what this one returned.
        return [found[self._places[name]].numpy().copy() for name in names]


def _port(item: Mapping[str, Any]) -> Any:
    name = NUMPY_NAMES.get(item["type"])
    if name is None:
        raise ProbeError("invalid_graph", f"'{item['name']}' is {item['type']}, which is not supported")
    return port(item["name"], name, item["shape"])
