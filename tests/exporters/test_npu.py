"""What is exported, on Qualcomm's NPU simulator: it decides as a CPU does, in every precision."""

import numpy as np
import pytest
import torch

from edgefair.exporters.torch_module import export_classifier
from edgefair.graphs.byte_casts import byte_casts
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, PictureSpec, Reading
from edgefair.training.build import build_classifier
from edgefair.training.settings import ModelConfig, PictureConfig
from tests.exporters.qnn_simulator import on_a_cpu, simulated, simulator
from tests.probe.small_networks import built, compressed

pytestmark = pytest.mark.runtimes

SIDE, ROWS, ASKED = 16, 192, 24
CALIBRATIONS = {"int8": "int8-balanced", "a16w8": "a16w8"}
# Two seconds a picture.
SLOW = {("pictures", "a16w8"): 6}


def pictures():
    """ResNet-18 of a quarter of its width, and what it learns: whether the left half is bright, or the upper one."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, ROWS)
    picture = rng.integers(0, 120, (ROWS, SIDE, SIDE, 3)).astype(np.uint8)
    picture[label == 1, :, : SIDE // 2] += 100
    picture[label == 0, : SIDE // 2] += 100
    items = (InputSpec("picture", "uint8", picture=PictureSpec("p", SIDE, SIDE)),)
    spec = ModelSpec(items, Reading("decision", "label", 0.5, "score"), ("no", "yes"))
    shown = PictureConfig(height=SIDE, width=SIDE)
    config = ModelConfig(network="resnet-18", options={"width": 0.25}, picture=shown)
    return build_classifier(spec, config, {}, seed=0), spec, {"picture": picture}, label


def texts():
    """A transformer, and whether a text begins with one of the latter words."""
    classifier, spec, inputs = built("text-transformer")
    return classifier, spec, inputs, (inputs["ids"][:, 0] >= 25).astype(np.int64)


def tables():
    """A perceptron, and whether the first column is positive."""
    classifier, spec, inputs = built("mlp")
    return classifier, spec, inputs, (inputs["numeric"][:, 0] > 0).astype(np.int64)


@pytest.fixture(scope="module", params=[pictures, texts, tables], ids=lambda data: data.__name__)
def model(request, tmp_path_factory):
    """Name of the data, the graph as it is exported, rows for it, and their labels."""
    simulator()
    classifier, spec, inputs, label = request.param()
    columns = [torch.from_numpy(value) for value in inputs.values()]
    optimizer = torch.optim.Adam(classifier.train().parameters(), 1e-3 if request.param is pictures else 1e-2)
    for some in torch.arange(len(label)).split(32) * (2 if request.param is pictures else 20):
        optimizer.zero_grad()
        logits = classifier(*(column[some] for column in columns))
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(label)[some]).backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("npu") / "model.onnx"
    return request.param.__name__, export_classifier(classifier.eval(), spec, {}, path), inputs, label


def as_it_was(model):
    """The graph with a Cast from bytes to floats, as versions before this one exported it."""
    older = type(model)()
    older.CopyFrom(model)
    older.graph.node[1].input[0] = older.graph.node[0].input[0]
    del older.graph.node[0]
    assert len(byte_casts(older)) == 1
    return older


def answers(model, inputs, rows):
    some = {name: value[:rows] for name, value in inputs.items()}
    return [ask(model, some, ["decision", "score"]) for ask in (on_a_cpu, simulated)]


@pytest.mark.parametrize("model", [pictures], indirect=True)
def test_the_direct_cast_decides_one_class_for_everybody(model):
    _, graph, inputs, _ = model
    (wanted, _), (found, _) = answers(as_it_was(graph), inputs, ASKED)
    assert set(wanted) == {0, 1}
    assert len(set(found)) == 1


@pytest.mark.parametrize("precision", ["fp32", "int8", "a16w8"])
def test_every_decision_is_that_of_a_cpu(model, precision):
    name, graph, inputs, label = model
    rows = SLOW.get((name, precision), ASKED)
    kind = "fp32" if precision == "fp32" else "int8"
    made = compressed(graph, inputs, kind, CALIBRATIONS.get(precision))
    (wanted, score), (found, score_there) = answers(made, inputs, rows)
    assert set(wanted) == {0, 1}
    assert (wanted == label[:rows]).mean() > 0.9
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_allclose(score_there, score, atol=0.01)
