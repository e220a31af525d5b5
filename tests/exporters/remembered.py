"""What torch traces of a network is remembered: nearly every story exports one of the same few, with other weights.

A trace takes half a second of processor time and more, and what is tested is what becomes of it. Torch traces shapes
and not numbers: the trace of a network is that of all whose weights alone differ. Theirs are put into its graph, which
is optimized as ever. The key is everything but the numbers: classes by their names, the rest by content. Exporting
itself is tested where nothing is remembered: in this folder, but where `traced_once` is asked for, and in tests that
ask for `exported_anew`.
"""

import contextlib
import functools
import hashlib
import io
import pickle
import sys
from collections import OrderedDict
from types import SimpleNamespace

import pytest

MOST = 64
# Of a graph that another process is told.
SMALL = 1 << 18
# Unoptimized graphs, and how many values and nodes torch had named in each: later names go on from there.
_traces: OrderedDict[str, tuple[bytes, int, int]] = OrderedDict()
_wanted = [True]


def remember(wanted):
    """Whether traces are remembered from now on. torch is left alone until something has imported it."""
    _wanted[0] = wanted
    exporter = sys.modules.get("torch.onnx")
    if exporter is not None and not hasattr(exporter.export, "__wrapped__"):
        exporter.export = _remembering(exporter.export)


def known():
    """The small traces, for another process to `learn`; empty where none are remembered."""
    return {key: trace for key, trace in _traces.items() if len(trace[0]) < SMALL} if _wanted[0] else {}


def learn(traces):
    """What another process knows."""
    _traces.update(traces)


@pytest.fixture
def exported_anew():
    """Every export of this test is one."""
    _wanted[0] = False


@pytest.fixture
def traced_once():
    """Of networks that are alike the first is exported anew, or remembered from before."""
    _wanted[0] = True


def _remembering(export):
    @functools.wraps(export)
    def remembered(model, args=(), *more, **how):
        key = _key(model, args, how) if _wanted[0] and not more else None
        if key is None:
            return export(model, args, *more, **how)
        if key not in _traces:
            program = export(model, args, optimize=False, **how)
            if program is None:
                return None
            _traces[key] = _traced(program)
        _traces.move_to_end(key)
        while len(_traces) > MOST:
            _traces.popitem(last=False)
        return SimpleNamespace(model_proto=_finished(model, *_traces[key]))

    return remembered


def _traced(program):
    names = program.model.graph._name_authority
    return program.model_proto.SerializeToString(), names._value_counter, names._node_counter


def _finished(network, trace, values, nodes):
    """The graph of a network from the trace of one that is like it."""
    import onnx
    import onnx_ir
    import torch

    graph = onnx_ir.from_proto(onnx.load_from_string(trace))
    names = graph.graph._name_authority
    names._value_counter, names._node_counter = values, nodes
    weights = _weights(network)
    for name, value in graph.graph.initializers.items():
        if name in weights:
            value.const_value = onnx_ir.tensor(weights[name], name=name)
    program = torch.onnx.ONNXProgram(graph, None)
    program.optimize()
    return program.model_proto


def _weights(network):
    """Parameters and buffers by name, one that is shared by all of its names."""
    parts = (network.named_parameters, network.named_buffers)
    return {name: part.detach() for named in parts for name, part in named(remove_duplicate=False)}


class _Content(pickle.Pickler):
    """Equal parts are equal bytes, be they one object or two; only of tensors it counts which share their numbers.

    Of weights the numbers do not count.
    """

    def __init__(self, stream, network):
        super().__init__(stream, pickle.HIGHEST_PROTOCOL)
        self.fast = True
        self._places = {}
        self._weights = {id(part) for part in (*network.parameters(), *network.buffers())}

    def reducer_override(self, item):
        if not isinstance(item, sys.modules["torch"].Tensor):
            return NotImplemented
        place = self._places.setdefault(item.data_ptr(), len(self._places))
        array = item.detach().numpy()
        numbers = b"" if id(item) in self._weights else array.tobytes()
        like = (place, type(item).__name__, item.requires_grad, str(array.dtype), array.shape, array.strides)
        return _Content, (*like, numbers)


def _key(model, args, how):
    """A digest of all that is exported and how; None where that cannot be told."""
    if not isinstance(model, sys.modules["torch"].nn.Module):
        return None
    content = io.BytesIO()
    with contextlib.suppress(Exception):
        _Content(content, model).dump((model, args))
        return hashlib.sha256(content.getvalue() + repr(sorted(how.items())).encode()).hexdigest()
    return None
