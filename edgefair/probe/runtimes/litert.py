"""LiteRT (TensorFlow Lite): a flatbuffer as it is, with real numbers in and out where the file has quantized ones."""

from __future__ import annotations

import importlib
import importlib.metadata
from functools import partial
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edgefair.probe.errors import ProbeError, error_kind, first_line
from edgefair.probe.formats.appended import appended
from edgefair.probe.formats.base import FileFormat
from edgefair.probe.formats.tflite import FORMAT as TFLITE
from edgefair.probe.runtimes.ports import ORT_NAMES, PortedSession, port

PACKAGE = "ai-edge-litert"
INSTALL = "`pip install ai-edge-litert` (edgefair[litert]) for the Python that runs the probe"
# What `config: {kernels: ...}` may say, with LiteRT's name of the resolver.
AUTO, WHOLE = "auto", "xnnpack"
KERNELS = {AUTO: "AUTO", WHOLE: "AUTO", "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}
DELEGATE = "DELEGATE"


class LiteRt:
    """LiteRT on the processor. See `probe.runtimes.base.Runtime`."""

    format: FileFormat = TFLITE
    levels: Sequence[str] = ("all",)
    opens_bundles: bool = True

    def facts(self) -> Dict[str, Any]:
        """Its version, as its package says."""
        try:
            return {"litert": importlib.metadata.version(PACKAGE)}
        except importlib.metadata.PackageNotFoundError:
            return {}

    def open(self, content: bytes, options: Mapping[str, Any]) -> Tuple["LiteRtSession", Dict[str, Any]]:
        """An interpreter of the file.

        options["config"], optional: kernels, whose compute it: `auto` (if absent: XNNPACK's, and LiteRT's own for
        operators that XNNPACK does not take), `xnnpack` (for all operators, or an error), `builtin`, `reference`.

        Raises:
            ProbeError: `no_runtime` without LiteRT, or where XNNPACK leaves operators to others that it was asked to
                take; `invalid_graph` where LiteRT cannot load the file; `bad_request` for other settings.
        """
        kernels = settings(options["config"])
        if options["optimization"] != "all":
            raise ProbeError("bad_request", f"optimization is '{options['optimization']}', and LiteRT has no levels")
        try:
            litert: Any = importlib.import_module("ai_edge_litert.interpreter")
        except Exception as error:
            how = "is not installed" if isinstance(error, ModuleNotFoundError) else "cannot be imported"
            raise ProbeError("no_runtime", f"LiteRT {how} on the device ({error}): {INSTALL}") from error
        try:
            interpreter = litert.Interpreter(
                model_content=content,
                num_threads=int(options["threads"]),
                experimental_op_resolver_type=getattr(litert.OpResolverType, KERNELS[kernels]),
            )
            interpreter.allocate_tensors()
            session = LiteRtSession(interpreter, appended(content), _by(interpreter))
        except ProbeError:
            raise
        except Exception as error:
            raise ProbeError(error_kind(error, "invalid_graph"), first_line(error)) from error
        facts = {"kernels": _by(interpreter), "quantized": "; ".join(session.quantized)}
        check_used(facts, kernels)
        return session, facts


RUNTIME = LiteRt()


def settings(config: Mapping[str, str]) -> str:
    """Whose kernels.

    Raises:
        ProbeError: `bad_request`, for other settings.
    """
    unknown = sorted(set(config) - {"kernels"})
    if unknown:
        raise ProbeError("bad_request", f"config '{unknown[0]}' is not a LiteRT setting: kernels")
    kernels = config.get("kernels", AUTO)
    if kernels not in KERNELS:
        raise ProbeError("bad_request", f"config kernels is '{kernels}', not {', '.join(KERNELS)}")
    return kernels


def check_used(facts: Mapping[str, Any], kernels: str) -> None:
    """Refuse other kernels than were asked for.

    Raises:
        ProbeError: `no_runtime`.
    """
    if kernels == WHOLE and facts["kernels"] != "XNNPACK":
        raise ProbeError(
            "no_runtime",
            f"LiteRT runs the model by kernels of {facts['kernels']}, and the profile says {WHOLE}: change "
            f"`config: {{kernels: ...}}`, or convert it without the operators that XNNPACK does not have",
        )


class LiteRtSession(PortedSession):
    """An interpreter. A file with a batch of one is asked row by row.

    Attributes:
        quantized: inputs and outputs that the file holds as whole numbers, in words.
    """

    def __init__(self, interpreter: Any, about: Mapping[str, str], on: str) -> None:
        sides = (interpreter.get_input_details(), interpreter.get_output_details())
        inputs, outputs = ([_port(item) for item in side] for side in sides)
        super().__init__(inputs, outputs, about, on)
        self.quantized = [_told(item) for side in sides for item in side if _scale(item) is not None]
        self._interpreter = interpreter
        self.asks_one_by_one = any(item.shape[0] is not None for item in inputs)
        self._rows = 1 if self.asks_one_by_one else -1

    def run(self, names: Sequence[str], inputs: Mapping[str, np.ndarray]) -> List[np.ndarray]:
        """The named outputs for any number of rows.

        Raises:
            ValueError: inputs that the model does not take.
            RuntimeError: it fails.
        """
        rows = len(next(iter(inputs.values()))) if inputs else 0
        self.check(names, {name: x[:1] for name, x in inputs.items()} if self.asks_one_by_one else inputs)
        given = [(self.inputs[name], array) for name, array in inputs.items()]
        held = [(item.index, array if item.convert is None else item.convert(array)) for item, array in given]
        found = self._each(names, held, rows) if self.asks_one_by_one else self._all(names, held, rows)
        wanted = zip((self.outputs[name].back for name in names), found)
        return [array if back is None else back(array) for back, array in wanted]

    def _all(self, names: Sequence[str], held: Sequence[Tuple[int, np.ndarray]], rows: int) -> List[np.ndarray]:
        """All rows at once."""
        interpreter = self._interpreter
        if rows != self._rows:
            for index, array in held:
                interpreter.resize_tensor_input(index, array.shape)
            interpreter.allocate_tensors()
            self._rows = rows
        for index, array in held:
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        return [interpreter.get_tensor(self.outputs[name].index) for name in names]

    def _each(self, names: Sequence[str], held: Sequence[Tuple[int, np.ndarray]], rows: int) -> List[np.ndarray]:
        """One row after the other."""
        indices = [self.outputs[name].index for name in names]
        put, invoke, get = self._interpreter.set_tensor, self._interpreter.invoke, self._interpreter.get_tensor
        found: List[List[np.ndarray]] = []
        for at in range(rows):
            for index, array in held:
                put(index, array[at : at + 1])
            invoke()
            found.append([get(index) for index in indices])
        return found[0] if rows == 1 else [np.concatenate(parts) for parts in zip(*found)]


def quantize(real: np.ndarray, scale: float, zero: int, dtype: np.dtype) -> np.ndarray:
    """real / scale + zero, rounded half away from zero and cut to the type: as LiteRT's own QUANTIZE does."""
    steps = (real / np.float32(scale)).astype(np.float64)
    info = np.iinfo(dtype)
    found: np.ndarray = np.clip(np.trunc(steps + np.copysign(0.5, steps)) + zero, info.min, info.max).astype(dtype)
    return found


def dequantize(whole: np.ndarray, scale: float, zero: int) -> np.ndarray:
    """(whole - zero) * scale, float32."""
    found: np.ndarray = (whole.astype(np.int32) - zero).astype(np.float32) * np.float32(scale)
    return found


def _scale(item: Mapping[str, Any]) -> Optional[Tuple[float, int]]:
    """Scale and zero point of a quantized input or output; None where it is not."""
    scale, zero = item["quantization"]
    return (float(scale), int(zero)) if scale and np.dtype(item["dtype"]).kind in "iu" else None


def _told(item: Mapping[str, Any]) -> str:
    scale, zero = item["quantization"]
    return f"{item['name']}: {np.dtype(item['dtype']).name}, scale {scale:.9g}, zero point {zero}"


def _port(item: Mapping[str, Any]) -> Any:
    """An input or output with its place and, where it is quantized, the way to real numbers and back."""
    dtype, name, index = np.dtype(item["dtype"]), str(item["name"]), item["index"]
    if dtype.name not in ORT_NAMES:
        raise ProbeError("invalid_graph", f"'{name}' holds {dtype.name}, which is not supported")
    sizes = item["shape_signature"] if len(item["shape_signature"]) else item["shape"]
    shape = [None if size < 0 else int(size) for size in sizes]
    found = _scale(item)
    if found is None:
        return port(name, dtype.name, shape, index=index, convert=None, back=None)
    scale, zero = found
    to, back = partial(quantize, scale=scale, zero=zero, dtype=dtype), partial(dequantize, scale=scale, zero=zero)
    return port(name, "float32", shape, index=index, convert=to, back=back)


def _by(interpreter: Any) -> str:
    """Whose kernels run the graph, as far as the interpreter tells: XNNPACK replaces what it takes by one operator."""
    tell = getattr(interpreter, "_get_ops_details", None)
    if tell is None:
        return "unknown"
    taken = [item for item in tell() if item["op_name"] == DELEGATE]
    if not taken:
        return "LiteRT"
    outputs = {item["index"] for item in interpreter.get_output_details()}
    inputs = {item["index"] for item in interpreter.get_input_details()}
    whole = len(taken) == 1 and outputs <= set(map(int, taken[0]["outputs"]))
    return "XNNPACK" if whole and inputs <= set(map(int, taken[0]["inputs"])) else "XNNPACK and LiteRT"
