"""The treatments around compression on tables, pictures and texts: one small problem, drawn three ways.

Every row shows two numbers and its group. The label of most rows follows the first number, that of the few the second:
a student that reads the two numbers alone cannot serve both groups, and what it was compressed from can.
"""

import copy
import tempfile
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgefair.debias import Cells, open_method
from edgefair.progress import silent
from edgefair.training.checkpoint import Checkpoint
from edgefair.training.classifier import Classifier
from edgefair.training.distill import Distill
from edgefair.training.loop import TrainingRecipe, train
from edgefair.training.rows import TrainingRows
from edgefair.training.settings import TrainConfig

ROWS, STEPS = 1200, 100
CLASSES = ("no", "yes")


class Table(nn.Module):
    def draw(self, numbers):
        return numbers

    def forward(self, x):
        return x


class Pictures(nn.Module):
    """A number is the brightness of a channel."""

    def draw(self, numbers):
        return (127.5 * (1 + numbers)).round().byte()[:, None, None, :].repeat(1, 4, 4, 1)

    def forward(self, x):
        return functional.adaptive_avg_pool2d(x.float().permute(0, 3, 1, 2), 1).flatten(1) / 127.5 - 1


class Texts(nn.Module):
    """A number is a word."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding.from_pretrained(torch.linspace(-1, 1, STEPS)[:, None].repeat(3, 1), freeze=True)

    def draw(self, numbers):
        return ((STEPS - 1) / 2 * (1 + numbers)).round().long() + STEPS * torch.arange(3)

    def forward(self, x):
        return self.words(x).squeeze(2)


KINDS = pytest.mark.parametrize("kind", [Table, Pictures, Texts])


class Knows(nn.Module):
    """Decides by the number that counts for the row's group."""

    def forward(self, x):
        right = torch.where(x[:, 2] > 0, x[:, 1], x[:, 0])
        return torch.stack([-4 * right, 4 * right], 1)


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.last = nn.Linear(2, 2)

    def forward(self, x):
        return self.last(x[:, :2])


@cache
def rows_of(kind):
    generator = torch.Generator().manual_seed(0)
    numbers = 2 * torch.rand(ROWS, 3, generator=generator) - 1
    few = torch.rand(ROWS, generator=generator) < 0.2
    numbers[:, 2] = few.float() * 2 - 1
    label = (torch.where(few, numbers[:, 1], numbers[:, 0]) > 0).long()
    return TrainingRows.held((kind().draw(numbers),), Cells(few.long(), label, ("many", "few"), CLASSES))


def fitted(kind, methods=(), *, teacher=None, reference=None, rate=0.03):
    rows, classifier = rows_of(kind), Classifier(kind(), Student())
    recipe = TrainingRecipe(TrainConfig(epochs=6, batch_rows=60, learning_rate=rate), methods, teacher, reference)
    with tempfile.TemporaryDirectory() as folder:
        train(classifier, rows, recipe, seed=0, checkpoint=Checkpoint(Path(folder) / "c", "x"), progress=silent)
    return classifier.eval()


@cache
def plain(kind):
    return fitted(kind)


def asked(classifier, kind):
    rows = rows_of(kind)
    return classifier(*next(rows.batches(torch.arange(ROWS), ROWS)))


def right_of(classifier, kind):
    """The share of right decisions, [many, few]."""
    cells = rows_of(kind).cells
    with torch.no_grad():
        right = (asked(classifier, kind).argmax(1) == cells.label).double()
    return [float(right[cells.group == group].mean()) for group in (0, 1)]


@KINDS
def test_excess_loss_halves_what_the_few_lose_beyond_all(kind):
    dense = Classifier(kind(), Knows()).eval()
    assert min(right_of(dense, kind)) > 0.97
    held = fitted(kind, [open_method("excess-loss", {})], reference=dense)

    def excess(classifier):
        many, few = right_of(classifier, kind)
        return 0.8 * (many - few)

    assert excess(plain(kind)) > 0.2
    assert excess(held) < excess(plain(kind)) / 2


@KINDS
def test_a_robust_teacher_lifts_the_group_that_the_student_follows_worst(kind):
    dense = Classifier(kind(), Knows()).eval()
    mean, robust = (fitted(kind, teacher=Distill(dense, weight=1.0, dro_eta=eta)) for eta in (0.0, 0.1))
    assert min(right_of(robust, kind)) > min(right_of(mean, kind)) + 0.05


@KINDS
def test_group_sam_gives_up_loss_at_the_weights_for_less_of_it_around_them(kind):
    plain, flat = (fitted(kind, methods, rate=0.1) for methods in ([], [open_method("group-sam", {"rho": 1.0})]))
    assert around(flat, kind, 0.0) > around(plain, kind, 0.0)
    assert around(flat, kind, 1.0) < around(plain, kind, 1.0) - 0.005


def around(classifier, kind, rho):
    """The mean loss of a row at the point within rho of the weights that is worst for its group."""
    cells, last, found = rows_of(kind).cells, classifier.network.last, 0.0
    for group in (0, 1):
        moved, rows = copy.deepcopy(last), cells.group == group
        score = asked(classifier, kind)[rows]
        steps = torch.autograd.grad(functional.cross_entropy(score, cells.label[rows]), list(last.parameters()))
        length = torch.cat([step.flatten() for step in steps]).norm()
        with torch.no_grad():
            for weight, step in zip(moved.parameters(), steps, strict=True):
                weight += rho * step / length
            there = Classifier(kind(), copy.deepcopy(classifier.network))
            there.network.last = moved
            loss = functional.cross_entropy(asked(there, kind)[rows], cells.label[rows])
            found += float(loss * rows.double().mean())
    return found


@KINDS
def test_a_penalty_of_one_label_closes_the_gap_there_and_has_no_price_elsewhere(kind):
    penalty = open_method("eo-penalty", {"labels": ["yes"], "dual_lr": 0.1})
    treated = fitted(kind, [penalty])
    cells = rows_of(kind).cells

    def gap(classifier):
        """Of the mean probability of yes among those who should get it."""
        with torch.no_grad():
            score = asked(classifier, kind).softmax(1)[:, 1]
        one, other = (float(score[(cells.label == 1) & (cells.group == group)].mean()) for group in (0, 1))
        return abs(one - other)

    assert gap(plain(kind)) > 0.15
    assert gap(treated) < gap(plain(kind)) / 2
    prices = penalty.state()["lambda"]
    assert prices[1].max() > 0
    assert prices[0].tolist() == [0.0, 0.0]
