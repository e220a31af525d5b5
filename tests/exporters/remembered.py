"""What torch exports of a network is remembered: nearly every story exports one of the same few.

An export takes 1.5 s of processor time, and what is tested is what becomes of it. The key is all that is exported:
classes by their names, everything else, weights too, by content. Exporting itself is tested where nothing is
remembered: in this folder, and in tests that ask for `exported_anew`.
"""

import contextlib
import functools
import hashlib
import io
import pickle
import sys
from collections import OrderedDict
from types import SimpleNamespace

import onnx
import pytest

MOST = 64
# Of a graph that another process is told.
SMALL = 1 << 18
_graphs: OrderedDict[str, bytes] = OrderedDict()
_wanted = [True]


def remember(wanted):
    """Whether exports are remembered from now on. torch is left alone until something has imported it."""
    _wanted[0] = wanted
    exporter = sys.modules.get("torch.onnx")
    if exporter is not None and not hasattr(exporter.export, "__wrapped__"):
        exporter.export = _remembering(exporter.export)


def known():
    """The small graphs, for another process to `learn`; empty where exports are not remembered."""
    return {key: graph for key, graph in _graphs.items() if len(graph) < SMALL} if _wanted[0] else {}


def learn(graphs):
    """What another process knows."""
    _graphs.update(graphs)


@pytest.fixture
def exported_anew():
    """Every export of this test is one."""
    _wanted[0] = False


def _remembering(export):
    @functools.wraps(export)
    def remembered(model, args=(), *more, **how):
        key = _key(model, args, how) if _wanted[0] and not more else None
        if key is None:
            return export(model, args, *more, **how)
        if key not in _graphs:
            program = export(model, args, **how)
            if program is None:
                return None
            _graphs[key] = program.model_proto.SerializeToString()
        _graphs.move_to_end(key)
        while len(_graphs) > MOST:
            _graphs.popitem(last=False)
        return SimpleNamespace(model_proto=onnx.load_from_string(_graphs[key]))

    return remembered


class _Content(pickle.Pickler):
    """Equal parts are equal bytes, be they one object or two; only of tensors it counts which share their numbers."""

    def __init__(self, stream):
        super().__init__(stream, pickle.HIGHEST_PROTOCOL)
        self.fast = True
        self._places = {}

    def reducer_override(self, item):
        if not isinstance(item, sys.modules["torch"].Tensor):
            return NotImplemented
        place = self._places.setdefault(item.data_ptr(), len(self._places))
        array = item.detach().numpy()
        return _Content, (place, type(item).__name__, str(array.dtype), array.shape, array.strides, array.tobytes())


def _key(model, args, how):
    """A digest of all that is exported and how; None where that cannot be told."""
    if not isinstance(model, sys.modules["torch"].nn.Module):
        return None
    content = io.BytesIO()
    with contextlib.suppress(Exception):
        _Content(content).dump((model, args))
        return hashlib.sha256(content.getvalue() + repr(sorted(how.items())).encode()).hexdigest()
    return None
