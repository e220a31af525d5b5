"""Pictures on Qualcomm's NPU simulator: a direct Cast of bytes decides one class for everybody."""

import numpy as np
import pytest
import torch

from edgefair.exporters.torch_module import export_classifier
from edgefair.graphs.byte_casts import byte_casts
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, PictureSpec, Reading
from edgefair.training.build import build_classifier
from edgefair.training.settings import ModelConfig, PictureConfig
from tests.exporters.qnn_simulator import on_a_cpu, simulated, simulator
from tests.probe.small_networks import compressed

pytestmark = pytest.mark.runtimes

SIDE, ROWS, ASKED = 16, 192, 24


@pytest.fixture(scope="module")
def pictures():
    """Bright halves, left for one class and above for the other: uint8 [rows, side, side, 3], and int64 [rows]."""
    simulator()
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, ROWS)
    picture = rng.integers(0, 120, (ROWS, SIDE, SIDE, 3)).astype(np.uint8)
    picture[label == 1, :, : SIDE // 2] += 100
    picture[label == 0, : SIDE // 2] += 100
    return picture, label


@pytest.fixture(scope="module")
def model(pictures, tmp_path_factory):
    """ResNet-18 of a quarter of its width, as it is exported."""
    picture, label = (torch.from_numpy(item) for item in pictures)
    spec = ModelSpec(
        (InputSpec("picture", "uint8", picture=PictureSpec("p", SIDE, SIDE)),),
        Reading("decision", "label", 0.5, "score"),
        ("no", "yes"),
    )
    config = ModelConfig(network="resnet-18", options={"width": 0.25}, picture=PictureConfig(height=SIDE, width=SIDE))
    classifier = build_classifier(spec, config, {}, seed=0).train()
    optimizer = torch.optim.Adam(classifier.parameters(), 1e-3)
    for some in torch.arange(ROWS).split(32) * 2:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(classifier(picture[some]), label[some]).backward()
        optimizer.step()
    return export_classifier(classifier.eval(), spec, {}, tmp_path_factory.mktemp("npu") / "model.onnx")


def as_it_was(model):
    """The graph with a Cast from bytes to floats, as versions before this one exported it."""
    older = type(model)()
    older.CopyFrom(model)
    older.graph.node[1].input[0] = older.graph.node[0].input[0]
    del older.graph.node[0]
    assert len(byte_casts(older)) == 1
    return older


def answers(model, pictures):
    inputs = {"picture": pictures[0][:ASKED]}
    return [ask(model, inputs, ["decision", "score"]) for ask in (on_a_cpu, simulated)]


def test_the_direct_cast_decides_one_class_for_everybody(model, pictures):
    (wanted, _), (found, _) = answers(as_it_was(model), pictures)
    assert set(wanted) == {0, 1}
    assert len(set(found)) == 1


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_every_decision_is_that_of_a_cpu(model, pictures, precision):
    made = compressed(model, {"picture": pictures[0]}, precision, "int8-balanced")
    (wanted, score), (found, score_there) = answers(made, pictures)
    assert (wanted == pictures[1][:ASKED]).mean() > 0.9
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_allclose(score_there, score, atol=0.01)
