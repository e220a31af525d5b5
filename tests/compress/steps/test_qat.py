"""Training with INT8 simulated: it is what the device computes, and training repairs what rounding broke."""

import copy
import json

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import Precision, quantize_static
from edgefair.compress.steps.base import Learned
from edgefair.compress.steps.fake_quantize import Grid, Simulated
from edgefair.compress.steps.fold_batch_norm import fold, foldable
from edgefair.compress.steps.layers import used_layers
from edgefair.compress.steps.qat import Qat, ranges_of
from edgefair.debias import Cells
from edgefair.errors import ModelError
from edgefair.exporters.torch_module import export_classifier
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, Reading
from edgefair.progress import Progress
from edgefair.training.checkpoint import Checkpoint, load_weights, save_weights
from edgefair.training.classifier import Classifier, Preprocess
from edgefair.training.loop import TrainingRecipe, train
from edgefair.training.networks import open_network
from edgefair.training.rows import TrainingRows
from edgefair.training.settings import PictureConfig, TrainConfig
from tests.compress.tiny_networks import any_rows, classifier_of, context_of

SHAPES = {"image": (1, 8, 8)}
SPEC = ModelSpec(
    inputs=(InputSpec("image", "float32", array="image"),),
    reading=Reading("decision", "label", None, "score"),
    classes=tuple("0123456789"),
)
DIGITS = load_digits()
IMAGES, LABELS = torch.tensor(DIGITS.images, dtype=torch.float32)[:, None], torch.tensor(DIGITS.target)
TRAINING, HELD_OUT = slice(0, 1200), slice(1200, None)
ROWS = TrainingRows.held(
    (IMAGES[TRAINING],), Cells(torch.arange(1200) % 2, LABELS[TRAINING], ("g0", "g1"), SPEC.classes)
)


def recipe(**options):
    return CalibrationRecipe(name="test", rows=400, **options)


def fit(classifier, folder, *, epochs, rate, name, stop=None):
    def progress(done, _total, _what):
        if stop is not None and done >= stop:
            raise StopError

    train(
        classifier,
        ROWS,
        TrainingRecipe(TrainConfig(epochs=epochs, batch_rows=100, learning_rate=rate)),
        seed=0,
        checkpoint=Checkpoint(folder / name, "x"),
        progress=Progress(progress),
    )
    return classifier.eval()


class StopError(Exception):
    pass


def accuracy(classifier):
    return (classifier.eval()(IMAGES[HELD_OUT]).argmax(1) == LABELS[HELD_OUT]).float().mean().item()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network of digits whose channels are of very different size, as a function of ReLU allows at no cost."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, padding=1, stride=2, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 10),
    )
    classifier = Classifier(Preprocess(SPEC.inputs, SHAPES, PictureConfig()), network)
    classifier.preprocess.fit(IMAGES[TRAINING])
    fit(classifier, tmp_path_factory.mktemp("digits"), epochs=6, rate=0.01, name="c")
    with torch.no_grad():
        for norm, layer in ((network[1], network[3]), (network[4], network[8])):
            sizes = torch.logspace(-0.5, 0.5, norm.num_features)
            norm.weight *= sizes
            norm.bias *= sizes
            layer.weight /= sizes.repeat_interleave(layer.weight.shape[1] // len(sizes)).reshape(
                1, -1, *[1] * (layer.weight.dim() - 2)
            )
    return classifier


def simulated(classifier, step):
    plan = json.loads(json.dumps(step.plan(classifier, context_of(ROWS))))
    made = copy.deepcopy(classifier)
    step.apply(made, plan)
    return made.eval()


def int8_file(classifier, chosen, folder, *, reduced=False):
    """The INT8 graph of a simulated classifier, which becomes a plain one."""
    learned = Qat(recipe()).finish(classifier)
    prepared = prepare_graph(export_classifier(classifier.eval(), SPEC, SHAPES, folder / "m.onnx"))
    calibrated = calibrate(prepared, [{"image": IMAGES[TRAINING].numpy()}], method="minmax")
    precision = Precision(reduced_nodes=None if reduced else frozenset())
    return quantize_static(prepared, {**calibrated, **ranges_of(prepared, learned)}, chosen, precision)


def run(model, x, *, optimized=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(["decision", "score"], {"image": x.numpy()})


def test_training_repairs_what_four_bits_per_tensor_broke_and_the_file_has_the_repaired_accuracy(tmp_path, trained):
    float_accuracy = accuracy(trained)
    assert float_accuracy > 0.85
    coarse = recipe(weight_bits=4, weights="per-tensor")
    made = simulated(trained, Qat(coarse))
    assert accuracy(made) < float_accuracy - 0.1
    fit(made, tmp_path, epochs=24, rate=0.003, name="c")
    assert accuracy(made) > float_accuracy - 0.03
    expected = accuracy(made)
    decision, _ = run(int8_file(made, coarse, tmp_path), IMAGES[HELD_OUT])
    assert (decision == LABELS[HELD_OUT].numpy()).mean() == pytest.approx(expected, abs=0.01)


GRIDS = {
    "8 bits": ({}, False),
    "7 bits": ({}, True),
    "one scale for all": ({"weights": "per-tensor"}, False),
    "4 bits": ({"weight_bits": 4}, False),
    "signed rows": ({"activations": "int8"}, False),
    "TensorRT": ({"activations": "int8-symmetric", "runtime": "tensorrt"}, False),
    "16-bit rows": ({"activations": "uint16", "runtime": "npu"}, False),
}


@pytest.mark.parametrize(("options", "reduced"), GRIDS.values(), ids=GRIDS)
def test_what_is_simulated_is_what_onnxruntime_computes_from_the_file(tmp_path, trained, options, reduced):
    chosen = recipe(**options)
    made = simulated(trained, Qat(chosen, reduce_range=reduced))
    for module in made.modules():
        if isinstance(module, Simulated):
            # Ranges as training leaves them: narrower than what rows give.
            module.low *= 0.8
            module.high *= 0.8
    with torch.no_grad():
        expected = made(IMAGES[HELD_OUT]).softmax(1).numpy()
    # On the CPU a graph for TensorRT is computed as it is written, or its biases would be rounded.
    own = chosen.runtime == "onnxruntime-cpu"
    decision, score = run(int8_file(made, chosen, tmp_path, reduced=reduced), IMAGES[HELD_OUT], optimized=own)
    difference = np.abs(score - expected).max(axis=1)
    # Where a value lies between two codes, the last bit of a float decides, and a row is off by one step.
    assert np.median(difference) < 1e-5
    assert (difference > 0.02).mean() < 0.02
    assert (decision == expected.argmax(1)).mean() > 0.99


def test_an_interrupted_fine_tune_ends_with_the_same_weights_and_ranges(tmp_path, trained):
    step = Qat(recipe())
    whole = fit(simulated(trained, step), tmp_path, epochs=2, rate=0.001, name="a")
    with pytest.raises(StopError):
        fit(simulated(trained, step), tmp_path, epochs=2, rate=0.001, name="b", stop=18)
    resumed = fit(simulated(trained, step), tmp_path, epochs=2, rate=0.001, name="b")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    save_weights(whole, tmp_path / "w.safetensors")
    loaded = simulated(trained, step)
    load_weights(tmp_path / "w.safetensors", loaded)
    assert Qat(recipe()).finish(loaded) == Qat(recipe()).finish(whole)


def test_finishing_leaves_a_plain_network_with_the_names_of_the_exported_weights(trained):
    made = simulated(trained, Qat(recipe()))
    layers = [name for name, module in made.network.named_modules() if isinstance(module, Simulated)]
    assert layers == ["0", "3", "8"]
    learned = Qat(recipe()).finish(made)
    assert list(learned) == [f"classifier.network.{name}.weight" for name in layers]
    assert [type(made.network.get_submodule(name)) for name in layers] == [nn.Conv2d, nn.Conv2d, nn.Linear]
    assert not any(name.endswith(("low", "high")) for name in made.state_dict())
    assert Qat(recipe()).finish(made) == {}


def test_a_range_follows_the_batches_in_training_and_rests_in_evaluation():
    classifier = classifier_of(nn.Sequential(nn.Linear(3, 2)), 3)
    step = Qat(recipe())
    step.apply(classifier, step.plan(classifier, context_of(any_rows(3))))
    layer = classifier.network[0]
    low, high = layer.low.item(), layer.high.item()
    classifier.eval()(100 * torch.ones(1, 3))
    assert (layer.low.item(), layer.high.item()) == (low, high)
    classifier.train()(torch.tensor([[-10.0, 0.0, 100.0]]))
    assert layer.low.item() == pytest.approx(0.95 * low - 0.5)
    assert layer.high.item() == pytest.approx(0.95 * high + 5.0)


@pytest.mark.parametrize(("bits", "codes"), [(8, 255), (7, 129), (4, 15)])
def test_a_weight_has_as_many_values_as_codes_and_its_gradient_passes_through_the_rounding(bits, codes):
    w = torch.linspace(-1, 1, 5000)[None, :].repeat(2, 1).mul(torch.tensor([[1.0], [50.0]])).requires_grad_()
    for weights in ("per-channel", "per-tensor"):
        rounded, _ = Grid(bits, weights, "uint8", integer_bias=True).weight(w)
        assert len(rounded[1].unique()) == codes
        assert (len(rounded[0].unique()) == codes) == (weights == "per-channel")
        (gradient,) = torch.autograd.grad(rounded.sum(), w)
        assert torch.equal(gradient, torch.ones_like(w))


def test_a_row_outside_its_range_is_cut_and_has_no_gradient():
    x = torch.tensor([-3.0, -0.5, 0.0, 0.7, 9.0], requires_grad=True)
    grid = Grid(8, "per-channel", "uint8", integer_bias=True)
    rounded, _ = grid.activation(x, torch.tensor(-1.0), torch.tensor(1.0))
    assert rounded.tolist() == pytest.approx([-1.0, -0.5, 0.0, 0.7, 1.0], abs=0.005)
    rounded.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]


@pytest.mark.parametrize(("name", "norms"), [("resnet-18", 20), ("mobilenet-v2", 52)])
def test_every_batch_normalization_of_a_real_network_is_folded_and_the_function_stays(name, norms):
    torch.manual_seed(0)
    network = open_network(name, features=(3, 16, 16), classes=2, options={"width": 0.125})
    classifier, x = classifier_of(network, 3, 16, 16), torch.randn(16, 3, 16, 16)
    with torch.no_grad():
        for _ in range(5):
            classifier.train()(torch.randn(16, 3, 16, 16))
        expected = classifier.eval()(x)
        pairs = foldable(classifier)
        fold(network, pairs)
        assert len(pairs) == norms
        assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
        assert torch.allclose(classifier(x), expected, atol=1e-4)


class Twice(nn.Module):
    """The normalization's input is read by somebody else too."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm, self.last = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)
        nn.init.constant_(self.norm.running_mean, 3.0)

    def forward(self, x):
        x = self.layer(x)
        return self.last(self.norm(x) + x)


def test_a_normalization_that_cannot_be_folded_is_said_before_anything_is_trained():
    with pytest.raises(ModelError, match="folding the batch normalizations changes a logit"):
        Qat(recipe()).plan(classifier_of(Twice(), 4), context_of(any_rows(4)))


def test_layers_of_a_transformer_are_found_though_the_exporter_renames_their_weights(tmp_path):
    torch.manual_seed(0)
    network = open_network(
        "vit-small", features=(1, 8, 8), classes=10, options={"width": 16, "depth": 1, "heads": 2, "patch_size": 4}
    )
    classifier = Classifier(Preprocess(SPEC.inputs, SHAPES, PictureConfig()), network)
    made = simulated(classifier, Qat(recipe()))
    learned = Qat(recipe()).finish(made)
    prepared = prepare_graph(export_classifier(made.eval(), SPEC, SHAPES, tmp_path / "m.onnx"))
    assert len(learned) == len(used_layers(made)) == 8
    assert not set(learned) <= {item.name for item in prepared.graph.initializer}
    found = ranges_of(prepared, learned)
    assert {(item.low, item.high) for item in learned.values()} <= set(found.values())
    with pytest.raises(ModelError, match="no layer with the weight 'gone'"):
        ranges_of(prepared, {**learned, "gone": Learned(0.0, 1.0, "0" * 64)})


def test_layers_that_read_one_value_get_its_widest_range(tmp_path, trained):
    made = simulated(trained, Qat(recipe()))
    learned = Qat(recipe()).finish(made)
    prepared = prepare_graph(export_classifier(made.eval(), SPEC, SHAPES, tmp_path / "m.onnx"))
    twin = "classifier.network.8.weight"
    wide = Learned(-50.0, 0.5, learned[twin].weight)
    found = ranges_of(prepared, {**learned, "twin": wide})
    assert (-50.0, learned[twin].high) in found.values()


def test_a_network_without_a_layer_to_quantize_is_refused():
    class Nothing(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(2))

        def forward(self, x):
            return x * self.scale

    with pytest.raises(ModelError, match="nothing to quantize"):
        Qat(recipe()).check(classifier_of(Nothing(), 2))


class Reused(nn.Module):
    """A convolution used twice, with another normalization behind each use; one that is scaled behind; usual ones."""

    def __init__(self):
        super().__init__()
        self.stem, self.twice, self.scaled = (nn.Conv2d(n, 8, 3, padding=1) for n in (1, 8, 8))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(2))
        self.scale = nn.Parameter(torch.linspace(0.5, 2, 8).reshape(1, 8, 1, 1))
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        for norm in self.norms:
            x = torch.relu(norm(self.twice(x))) + x
        return self.head(torch.relu(self.scaled(x) * self.scale).mean((2, 3)))


def exported_to(folder):
    return lambda classifier: prepare_graph(export_classifier(classifier, SPEC, SHAPES, folder / "trial.onnx"))


def untrained(network):
    torch.manual_seed(0)
    classifier = Classifier(Preprocess(SPEC.inputs, SHAPES, PictureConfig()), network()).eval()
    classifier.preprocess.fit(IMAGES[TRAINING])
    return classifier


def test_layers_that_the_exported_graph_holds_otherwise_are_named_before_training_and_the_others_trained(tmp_path):
    classifier, step = untrained(Reused), Qat(recipe())
    before = copy.deepcopy(classifier.state_dict())
    plan = step.plan(classifier, context_of(ROWS, exported=exported_to(tmp_path)))
    assert plan["whole"] == ["twice", "scaled"]
    assert "weights in their place" in step.describe(plan, {})[1]
    assert list(plan["ranges"]) == ["stem", "head"]
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())
    made = copy.deepcopy(classifier)
    step.apply(made, json.loads(json.dumps(plan)))
    fit(made, tmp_path, epochs=2, rate=0.01, name="c")
    learned = Qat(recipe()).finish(made)
    prepared = exported_to(tmp_path)(made.eval())
    ranges = calibrate(prepared, [{"image": IMAGES[TRAINING].numpy()}], method="minmax")
    int8 = quantize_static(prepared, ranges | ranges_of(prepared, learned), recipe())
    assert learned.keys() == {"classifier.network.stem.weight", "classifier.network.head.weight"}
    assert device_agrees(int8, made) > 0.9


def device_agrees(int8, classifier):
    session = onnxruntime.InferenceSession(int8.SerializeToString(), providers=["CPUExecutionProvider"])
    decision = session.run(["decision"], {"image": IMAGES[HELD_OUT].numpy()})[0]
    return (decision == classifier(IMAGES[HELD_OUT]).argmax(1).numpy()).mean()


class Scaled(nn.Module):
    """One convolution, whose channels are scaled behind it."""

    def __init__(self):
        super().__init__()
        self.layer, self.scale = nn.Conv2d(1, 10, 3), nn.Parameter(torch.linspace(0.5, 2, 10).reshape(1, 10, 1, 1))

    def forward(self, x):
        return torch.relu(self.layer(x) * self.scale).mean((2, 3))


def test_a_network_of_which_the_export_holds_no_layer_is_refused_before_training(tmp_path):
    classifier = untrained(Scaled)
    context = context_of(ROWS, exported=exported_to(tmp_path))
    with pytest.raises(ModelError, match="other weights in place of layer"):
        Qat(recipe()).plan(classifier, context)
