"""On a real GPU every kind of network is trained, pruned, distilled and quantized; its file decides as on the CPU."""

import copy
from contextlib import suppress

import numpy as np
import onnxruntime
import pytest
import torch

from edgefair.compress.quantization.calibrate import calibrate
from edgefair.compress.quantization.prepare import prepare_graph
from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.quantization.static import quantize_static
from edgefair.compress.steps.cluster import Cluster
from edgefair.compress.steps.pruning.step import Prune
from edgefair.compress.steps.qat import Qat, ranges_of
from edgefair.compress.steps.sparsity import Sparsify
from edgefair.debias import Cells, open_methods
from edgefair.exporters.torch_module import export_classifier
from edgefair.progress import silent
from edgefair.training.checkpoint import Checkpoint
from edgefair.training.distill import Distill
from edgefair.training.engine import Engine
from edgefair.training.loop import TrainingRecipe, train
from edgefair.training.rows import TrainingRows
from edgefair.training.settings import TrainConfig
from tests.compress.tiny_networks import context_of
from tests.probe.small_networks import built
from tests.training.interrupted import StopError, stop_after

pytestmark = pytest.mark.gpu
NETWORKS = ("mlp", "resnet-18", "mobilenet-v2", "vit-small", "convnext-tiny", "text-transformer")
INT8 = CalibrationRecipe(name="test", rows=80)
CONFIG = TrainConfig(epochs=2, batch_rows=20, learning_rate=1e-3)


@pytest.fixture(scope="module")
def gpu():
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no NVIDIA GPU")
    return Engine("cuda")


def rows_of(inputs):
    tensors = tuple(torch.from_numpy(array) for array in inputs.values())
    row = torch.arange(len(tensors[0]))
    label = (tensors[0].flatten(1).float().mean(1) > tensors[0].float().mean()).long()
    return TrainingRows.held(tensors, Cells(row % 2, label, ("g0", "g1"), ("no", "yes")))


def trained(classifier, rows, path, engine, *, methods=(), teacher=None, config=CONFIG, progress=silent):
    recipe = TrainingRecipe(config, open_methods([(name, {}) for name in methods]), teacher)
    found = train(classifier, rows, recipe, seed=0, checkpoint=Checkpoint(path, "x"), progress=progress, engine=engine)
    assert {value.device.type for value in classifier.state_dict().values()} == {"cpu"}
    classifier.eval()
    return found


def on(engine, classifier, rows):
    """Probabilities [rows, classes] that a network gives on a device."""
    (inputs,) = rows.batches(torch.arange(len(rows)), len(rows))
    with engine.lent(classifier), torch.no_grad():
        return classifier(*(x.to(engine.device) for x in inputs)).softmax(1).cpu().numpy()


def by_onnxruntime(model, inputs):
    """Decisions, and probabilities."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["decision", "score"], inputs)


@pytest.mark.parametrize("network", NETWORKS)
def test_what_a_gpu_trained_pruned_distilled_and_quantized_decides_as_there_in_the_exported_file(
    gpu, tmp_path, network
):
    classifier, spec, inputs = built(network)
    rows = rows_of(inputs)
    losses = trained(classifier, rows, tmp_path / "dense", gpu, methods=["eo-penalty", "adversarial"]).losses
    assert np.isfinite(losses).all()
    teacher = Distill(copy.deepcopy(classifier), weight=0.5, dro_eta=0.1)
    pruned = Prune(0.3, importance="taylor", round_to=4)
    pruned.apply(classifier, pruned.plan(classifier, context_of(rows)))
    trained(classifier, rows, tmp_path / "pruned", gpu, methods=["group-dro"], teacher=teacher)
    qat = Qat(INT8)

    def exported(one):
        return export_classifier(one, spec, {}, tmp_path / "m.onnx")

    context = context_of(rows, exported=lambda one: prepare_graph(exported(one)))
    qat.apply(classifier, qat.plan(classifier, context))
    trained(classifier, rows, tmp_path / "qat", gpu, teacher=teacher)
    simulated = on(gpu, classifier, rows)
    learned = qat.finish(classifier)

    model = exported(classifier)
    there = on(gpu, classifier, rows)
    decision, score = by_onnxruntime(model, inputs)
    assert np.abs(score - there).max() < 1e-4
    clear = np.abs(there[:, 1] - 0.5) > 1e-4
    assert np.array_equal(decision[clear], there.argmax(1)[clear])

    prepared = prepare_graph(model)
    ranges = calibrate(prepared, [inputs], method="minmax")
    _, after_training = by_onnxruntime(quantize_static(prepared, ranges, INT8), inputs)
    _, with_it = by_onnxruntime(quantize_static(prepared, {**ranges, **ranges_of(prepared, learned)}, INT8), inputs)
    assert np.abs(after_training - there).mean() < 0.1
    assert np.abs(with_it - simulated).mean() < 0.1


@pytest.mark.parametrize("network", ["mlp", "resnet-18"])
def test_a_gpu_takes_the_same_rows_in_the_same_order_as_the_cpu(gpu, tmp_path, network):
    classifier, _, inputs = built(network)
    rows, other = rows_of(inputs), copy.deepcopy(classifier)
    config = TrainConfig(epochs=2, batch_rows=20, learning_rate=1e-4)
    there = trained(classifier, rows, tmp_path / "a", gpu, methods=["reweigh"], config=config)
    here = trained(other, rows, tmp_path / "b", Engine("cpu"), methods=["reweigh"], config=config)
    assert there.losses == pytest.approx(here.losses, rel=1e-3)
    assert np.abs(on(gpu, classifier, rows) - on(Engine("cpu"), other, rows)).max() < 0.01


STEPS = {"dense": None, "sparsity": Sparsify(0.5, schedule="constant"), "cluster": Cluster(8), "qat": Qat(INT8)}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("methods", [("augment", "group-sam"), ("balance", "eo-penalty", "adversarial")], ids="+".join)
def test_a_training_that_was_interrupted_on_a_gpu_ends_with_the_same_weights(gpu, tmp_path, step, methods):
    begun, _, inputs = built("resnet-18")
    rows, step = rows_of(inputs), STEPS[step]
    plan = None if step is None else step.plan(begun, context_of(rows))
    whole, broken, resumed = (copy.deepcopy(begun) for _ in range(3))
    for one in (whole, broken, resumed):
        if step is not None:
            step.apply(one, plan)
    expected = trained(whole, rows, tmp_path / "a", gpu, methods=methods)
    with suppress(StopError):
        trained(broken, rows, tmp_path / "b", gpu, methods=methods, progress=stop_after(6))
    assert {value.device.type for value in broken.state_dict().values()} == {"cpu"}
    assert trained(resumed, rows, tmp_path / "b", gpu, methods=methods) == expected
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
