"""Who owns the device: a training, while it runs. Everything else is on the CPU, so that no two tensors ever miss."""

import copy
import json

import pytest
import torch
from torch import nn

from edgefair.compress.quantization.recipe import CalibrationRecipe
from edgefair.compress.steps.cluster import Cluster
from edgefair.compress.steps.game import Adversary
from edgefair.compress.steps.low_rank import LowRank
from edgefair.compress.steps.pruning.step import Prune
from edgefair.compress.steps.qat import Qat
from edgefair.compress.steps.sparsity import Sparsify
from edgefair.compress.steps.ticket import Ticket
from edgefair.compress.steps.unchanged import Unchanged
from edgefair.debias import METHODS, open_method
from edgefair.errors import UsageError
from edgefair.progress import silent
from edgefair.training.checkpoint import Checkpoint
from edgefair.training.distill import Distill
from edgefair.training.engine import Engine, as_written
from edgefair.training.loop import DivergedError, TrainingRecipe, train
from edgefair.training.settings import TrainConfig
from tests.compress.steps.prune_cases import any_context, built_in
from tests.compress.tiny_networks import any_rows, classifier_of, context_of
from tests.training.interrupted import StopError, stop_after
from tests.training.other_device import Elsewhere, OtherEngine, other_device

# A module warns of parameters without memory, and here they have some.
pytestmark = pytest.mark.filterwarnings("ignore:.*which is a no-op")
CONFIG = TrainConfig(epochs=2, batch_rows=16)
ROWS = any_rows(3, 4, 4, rows=32)


def small(seed=0):
    torch.manual_seed(seed)
    return classifier_of(
        nn.Sequential(
            nn.Conv2d(3, 16, 3, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64, 10),
            nn.ReLU(),
            nn.Linear(10, 2),
        ),
        3,
        4,
        4,
    )


def trained(classifier, path, *, rows=ROWS, config=CONFIG, methods=(), teacher=None, reference=None, progress=silent):
    return train(
        classifier,
        rows,
        TrainingRecipe(config, methods, teacher, reference),
        seed=1,
        checkpoint=Checkpoint(path, "x"),
        progress=progress,
        engine=OtherEngine() if isinstance(torch.zeros((), device="meta"), Elsewhere) else Engine("cpu"),
    )


def held_by(thing):
    """Every tensor that an object holds, and those that it has in its modules, optimizers and dictionaries."""
    match thing:
        case torch.Tensor():
            yield thing
        case nn.Module():
            yield from thing.state_dict().values()
        case torch.optim.Optimizer():
            yield from (x for state in thing.state.values() for x in state.values())
        case dict():
            for value in thing.values():
                yield from held_by(value)
        case _ if type(thing).__module__.startswith("edgefair."):
            yield from held_by(vars(thing))


def on_the_cpu(*things):
    tensors = [x for thing in things for x in held_by(thing)]
    return bool(tensors) and all(type(x) is not Elsewhere and x.device.type == "cpu" for x in tensors)


TREATMENTS = {
    "none": lambda: {},
    **{name: lambda name=name: {"methods": [open_method(name, {})]} for name in METHODS},
    "soft labels": lambda: {"teacher": Distill(small(5), weight=0.7)},
    "soft labels, robustly": lambda: {"teacher": Distill(small(5), dro_eta=0.1)},
    "features": lambda: {"teacher": Distill(small(5), mfd_weight=1.0), "methods": [open_method("eo-penalty", {})]},
}


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_a_training_on_another_device_is_that_on_the_cpu_also_when_resumed_and_gives_everything_back(
    tmp_path, treatment
):
    here, there = small(), small()
    whole = trained(here, tmp_path / "a", **TREATMENTS[treatment](), reference=small(3))
    with other_device():
        broken = small()
        with pytest.raises(StopError):
            trained(broken, tmp_path / "b", **TREATMENTS[treatment](), reference=small(3), progress=stop_after(3))
        recipe, reference = TREATMENTS[treatment](), small(3)
        resumed = trained(there, tmp_path / "b", **recipe, reference=reference)
    assert on_the_cpu(broken)
    assert on_the_cpu(there, reference)
    learned = [*recipe.get("methods", ()), recipe.get("teacher")]
    assert all(on_the_cpu(item) for item in learned if [*held_by(item)])
    assert resumed == whole
    for name, value in here.state_dict().items():
        assert torch.equal(value, there.state_dict()[name]), name


QUICK = Adversary(steps=3, batch_rows=16)
STEPS = {
    "finetune-only": Unchanged(),
    **{
        f"prune by {name}": Prune(0.4, importance=name, round_to=2, **({"adversary": QUICK} if name in GAMES else {}))
        for GAMES in [("adversarial", "adversarial-frozen")]
        for name in ("magnitude", "taylor", "fairgrape", "fairprune", "group-effect", *GAMES, "random")
    },
    "low rank": LowRank(0.5),
    "low rank of the worst group": LowRank("worst-group"),
    "sparsity": Sparsify(0.5),
    "constant sparsity": Sparsify(0.5, schedule="constant"),
    "cluster": Cluster(4),
    "ticket": Ticket(0.5, adversary=QUICK),
    "qat": Qat(CalibrationRecipe(name="test", rows=32)),
}


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """A network that was trained on another device."""
    classifier = small()
    with other_device():
        trained(classifier, tmp_path_factory.mktemp("dense") / "c")
    return classifier


@pytest.mark.parametrize("step", STEPS)
def test_a_step_between_two_trainings_on_another_device_meets_the_rows_of_the_cpu(tmp_path, dense, step):
    step, inputs = STEPS[step], next(ROWS.batches(torch.arange(32), 32))
    begun = copy.deepcopy(dense)
    plan = json.loads(json.dumps(step.plan(begun, context_of(ROWS))))
    here, there = copy.deepcopy(begun), copy.deepcopy(begun)
    for one in (here, there):
        step.apply(one, plan)
    trained(here, tmp_path / "a")
    with other_device():
        trained(there, tmp_path / "b")
    assert on_the_cpu(there)
    for one in (here, there):
        step.finish(one)
    assert torch.equal(here.eval()(*inputs), there.eval()(*inputs))


def test_a_network_with_positions_makes_them_where_its_rows_are(tmp_path):
    classifier, x = built_in("text-transformer")
    config = TrainConfig(epochs=1, batch_rows=6)
    with other_device():
        trained(classifier, tmp_path / "c", rows=any_context(x[:6]).rows, config=config)
    assert classifier.eval()(x).isfinite().all()


def test_a_training_that_diverges_gives_the_network_back_too(tmp_path):
    classifier = small()
    with other_device(), pytest.raises(DivergedError):
        trained(classifier, tmp_path / "c", config=TrainConfig(epochs=1, batch_rows=16, learning_rate=1e6))
    assert on_the_cpu(classifier)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_gpu_that_is_asked_for_must_be_there_and_is_not_needed():
    assert Engine("auto").device == Engine("cpu").device == torch.device("cpu")
    with pytest.raises(UsageError, match=r"train.device is cuda, and PyTorch finds no NVIDIA GPU"):
        Engine("cuda")


def test_a_gpu_computes_without_tf32_and_repeatably_while_it_trains_and_as_before_afterwards(monkeypatch):
    def modes():
        return (
            torch.get_float32_matmul_precision(),
            torch.backends.cudnn.allow_tf32,
            torch.backends.cudnn.deterministic,
            torch.are_deterministic_algorithms_enabled(),
        )

    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_float32_matmul_precision("high")
    try:
        before = modes()
        with as_written():
            assert modes() == ("highest", False, True, True)
        assert modes() == before
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.set_float32_matmul_precision("highest")
