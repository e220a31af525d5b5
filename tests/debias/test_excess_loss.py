"""The excess-loss constraint: known prices, and a compression that would cost one group its accuracy."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from edgefair.debias import Cells, open_methods
from edgefair.debias.excess_loss import ExcessLoss
from edgefair.errors import UsageError
from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, Reading
from edgefair.progress import silent
from edgefair.training.build import build_classifier
from edgefair.training.checkpoint import Checkpoint
from edgefair.training.loop import TrainingRecipe, train
from edgefair.training.rows import TrainingRows
from edgefair.training.settings import ModelConfig, TrainConfig

GROUP = torch.tensor([0, 0, 0, 1])
LABEL = torch.tensor([0, 1, 0, 1])


def started(**options):
    method = ExcessLoss(**options)
    method.start(Cells(GROUP, LABEL, ("many", "few"), ("no", "yes")))
    method.learn_reference(torch.ones(4, dtype=torch.bool))
    return method


def deciding(classes):
    return torch.nn.functional.one_hot(torch.tensor(classes), 2) * 4.0


def test_only_the_group_that_loses_more_than_all_gets_a_price():
    method = started(eps=0.01, dual_lr=0.5)
    method.penalty(deciding([0, 1, 0, 0]), LABEL, GROUP)
    # All lose 1/4; the few lose 1, the many nothing.
    assert method.psi().tolist() == pytest.approx([-0.25, 0.75])
    method.end_step()
    assert method.state()["lambda"].tolist() == pytest.approx([0.0, 0.5 * (0.75 - 0.01)])
    for _ in range(5):
        method.end_step()
    assert method.state()["lambda"].tolist() == pytest.approx([0.0, 1.0]), "above 1 the loss of all would be driven up"


def test_its_term_is_the_price_times_what_the_group_loses_beyond_the_batch():
    method = started()
    method.load_state(method.state() | {"lambda": torch.tensor([0.0, 2.0])})
    logits = deciding([0, 1, 0, 0])
    losses = torch.nn.functional.cross_entropy(logits, LABEL, reduction="none")
    assert method.penalty(logits, LABEL, GROUP).item() == pytest.approx(2 * float(losses[3] - losses.mean()))
    assert method.penalty(logits[:3], LABEL[:3], GROUP[:3]).item() == 0.0, "the few are not in this batch"


def test_the_buffer_forgets_the_oldest_rows_of_a_group_alone():
    method = started(memory=2)
    method.penalty(deciding([0, 1, 0, 0]), LABEL, GROUP)
    for _ in range(2):
        method.penalty(deciding([1]), LABEL[3:], GROUP[3:])
    assert method.psi().tolist() == pytest.approx([0.0, 0.0]), "the last two of the few are right again"


def test_without_a_model_before_compression_it_is_refused():
    with pytest.raises(UsageError, match="nothing is compressed yet"):
        fitted(torch.nn.Identity(), ["excess-loss"], reference=None)


SPEC = ModelSpec(
    (InputSpec("numeric", "float32", (Column("x"), Column("z"))),),
    Reading("decision", "label", 0.5, "score"),
    ("no", "yes"),
)


def rows_of(rows, seed):
    """The label of nine in ten follows x, that of the others z: a linear model serves either, a wide one both."""
    random = np.random.default_rng(seed)
    few = random.random(rows) < 0.15
    x, z = random.normal(size=(2, rows)) + np.where(few, 3.0, -3.0) * np.array([[0.0], [1.0]])
    label = np.where(few, z > 3.0, x > 0).astype(np.int64)
    features = torch.tensor(np.stack([x, z], axis=1), dtype=torch.float32)
    cells = Cells(torch.tensor(few.astype(np.int64)), torch.tensor(label), ("many", "few"), SPEC.classes)
    return TrainingRows.held((features,), cells)


ROWS = rows_of(3000, seed=0)


def fitted(network, names, *, reference, epochs=6):
    classifier = build_classifier(SPEC, ModelConfig(options={"hidden": [16]}), {}, seed=0)
    classifier.preprocess.fit(*next(ROWS.batches(torch.arange(len(ROWS)), len(ROWS))))
    if network is not None:
        classifier.network = network
    methods = open_methods([(name, {}) for name in names])
    recipe = TrainingRecipe(TrainConfig(epochs=epochs, batch_rows=64, learning_rate=0.02), methods, None, reference)
    with tempfile.TemporaryDirectory() as folder:
        train(classifier, ROWS, recipe, seed=0, checkpoint=Checkpoint(Path(folder) / "c", "x"), progress=silent)
    return classifier.eval()


def right_of(classifier):
    with torch.no_grad():
        decided = classifier(*next(ROWS.batches(torch.arange(len(ROWS)), len(ROWS)))).argmax(1)
    right = (decided == ROWS.cells.label).float()
    return [float(right[ROWS.cells.group == group].mean()) for group in (0, 1)]


def test_after_a_compression_that_serves_the_many_the_few_lose_no_more_than_they():
    dense = fitted(None, [], reference=None)
    before = right_of(dense)
    assert min(before) > 0.8

    def excess(names):
        torch.manual_seed(0)
        found = right_of(fitted(torch.nn.Linear(2, 2), names, reference=dense))
        lost = [was - now for was, now in zip(before, found, strict=True)]
        return lost[1] - (0.85 * lost[0] + 0.15 * lost[1])

    plain, held = excess([]), excess(["excess-loss"])
    assert plain > 0.1
    assert held < plain / 4
