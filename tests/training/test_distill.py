"""A teacher in the training loop: what its terms are, whom they move, and what they leave alone."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgefair.debias import Cells, open_methods
from edgefair.errors import ModelError, UsageError
from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, Reading
from edgefair.progress import silent
from edgefair.training.build import build_classifier
from edgefair.training.checkpoint import Checkpoint
from edgefair.training.classifier import Classifier
from edgefair.training.distill import Distill, check_teacher, feature_loss, soft_loss
from edgefair.training.engine import Engine
from edgefair.training.loop import TrainingRecipe, train
from edgefair.training.rows import TrainingRows
from edgefair.training.settings import ModelConfig, TrainConfig
from edgefair.training.step import set_gradients
from tests.training.interrupted import StopError, stop_after

SPEC = ModelSpec(
    inputs=(
        InputSpec("numeric", "float32", (Column("age"), Column("height"))),
        InputSpec("categorical", "int32", (Column("job", ("a", "b", "c")),)),
    ),
    reading=Reading("decision", "label", 0.5, "score"),
    classes=("no", "yes"),
)


def make_rows(rows=256, *, noise=False):
    generator = torch.Generator().manual_seed(1)
    job = torch.randint(3, (rows, 1), generator=generator, dtype=torch.int32)
    numeric = torch.randn(rows, 2, generator=generator)
    label = (numeric[:, 0] + (job[:, 0] == 2) > 0.3).long()
    if noise:
        label = torch.randint(2, (rows,), generator=generator)
    group = torch.randint(2, (rows,), generator=generator)
    return TrainingRows.held((numeric, job), Cells(group, label, ("g0", "g1"), SPEC.classes))


def inputs_of(rows):
    return next(rows.batches(torch.arange(len(rows)), len(rows)))


def fresh(rows, *, seed=0, hidden=8, **options):
    model = ModelConfig(options={"hidden": [hidden], **options})
    classifier = build_classifier(SPEC, model, {}, seed=seed)
    classifier.preprocess.fit(*inputs_of(rows))
    return classifier


def trained(classifier, rows, folder, *, methods=(), teacher=None, epochs=8, progress=silent, name="c"):
    train(
        classifier,
        rows,
        TrainingRecipe(TrainConfig(epochs=epochs, batch_rows=64, learning_rate=0.02), list(methods), teacher),
        seed=3,
        checkpoint=Checkpoint(folder / name, "x"),
        progress=progress,
    )
    return classifier.eval()


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    rows = make_rows()
    return trained(fresh(rows, seed=5), rows, tmp_path_factory.mktemp("teacher"), epochs=20)


def test_the_soft_loss_is_the_divergence_of_the_softened_probabilities_times_the_square_of_the_temperature():
    s, t = torch.tensor([[1.0, -1.0, 0.5], [0.0, 2.0, 0.0]]), torch.tensor([[2.0, 0.0, 0.0], [0.0, -1.0, 3.0]])
    p, q = (t / 3).softmax(1), (s / 3).softmax(1)
    assert soft_loss(s, t, 3.0).item() == pytest.approx((9 * (p * (p / q).log()).sum(1).mean()).item(), rel=1e-5)
    assert soft_loss(t + 5.0, t, 3.0).item() == pytest.approx(0.0, abs=1e-5)


def by_pairs(student, teacher, label, group):
    """The sum of MMD^2 over present cells, pair by pair."""
    scale = torch.stack([(t - s).square().sum() for t in teacher for s in student]).mean().clamp(min=1e-12)

    def mean_kernel(u, v):
        return torch.stack([torch.exp(-(a - b).square().sum() / scale) for a in u for b in v]).mean()

    total = 0.0
    for y in label.unique():
        for a in group.unique():
            t, s = teacher[label == y], student[(label == y) & (group == a)]
            if len(s):
                total += mean_kernel(t, t) - 2 * mean_kernel(t, s) + mean_kernel(s, s)
    return total


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 9))
def test_the_feature_loss_is_the_sum_over_the_cells_that_are_there_and_always_finite(seed, rows):
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(rows, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    told = torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    label = torch.randint(3, (rows,), generator=generator)
    group = torch.randint(4, (rows,), generator=generator)
    loss = feature_loss(student, told, label, group)
    assert loss.item() == pytest.approx(float(by_pairs(student.detach(), told, label, group)), abs=1e-9)
    loss.backward()
    assert torch.isfinite(student.grad).all()


def test_the_feature_loss_is_zero_where_every_group_has_the_features_that_the_teacher_gives_its_label():
    told = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0], [5.0, 5.0]])
    label, group = torch.tensor([0, 0, 0, 0, 1, 1]), torch.tensor([0, 0, 1, 1, 0, 1])
    student = told.clone().requires_grad_()
    loss = feature_loss(student, told, label, group)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert student.grad.abs().max() < 1e-6
    same = torch.ones(4, 2, requires_grad=True)
    assert feature_loss(same, torch.ones(4, 2), label[:4], group[:4]).item() == pytest.approx(0.0, abs=1e-6)
    moved = told.clone()
    moved[2:4] += 1.0
    assert feature_loss(moved, told, label, group).item() > 0.1


def test_soft_labels_alone_move_the_student_to_the_teacher_whatever_the_labels_are(tmp_path, teacher):
    noise = make_rows(noise=True)
    told = teacher(*inputs_of(noise)).argmax(1)
    agreement = {}
    for name, weight in (("taught", 1.0), ("alone", 0.0)):
        student = trained(fresh(noise), noise, tmp_path, teacher=Distill(teacher, weight=weight), epochs=20, name=name)
        agreement[name] = (student(*inputs_of(noise)).argmax(1) == told).float().mean().item()
    assert agreement["taught"] > 0.95
    assert agreement["alone"] < 0.8


def test_feature_distillation_draws_the_groups_to_the_teachers_features(tmp_path, teacher):
    rows = make_rows()
    found = {}
    for name, mfd in (("without", 0.0), ("with", 5.0)):
        student = fresh(rows)
        lessons = Distill(teacher, weight=0.2, mfd_weight=mfd)
        trained(student, rows, tmp_path, teacher=lessons, epochs=15, name=name)
        judge = Distill(teacher, mfd_weight=1.0)
        judge.start(student, rows.cells)
        with torch.no_grad():
            features = student.preprocess(*inputs_of(rows))
            _, lesson = judge.lesson(student.network, features, inputs_of(rows), Engine())
        found[name] = feature_loss(*lesson.features, rows.cells.label, rows.cells.group).item()
    assert found["with"] < 0.5 * found["without"]


def test_an_interrupted_distillation_with_debiasing_ends_with_the_same_weights(tmp_path, teacher):
    rows = make_rows()

    def run(classifier, name, progress=silent):
        methods = open_methods([(method, {}) for method in ("augment", "adversarial")])
        lessons = Distill(teacher, mfd_weight=3.0, dro_eta=0.5)
        return trained(
            classifier, rows, tmp_path, methods=methods, teacher=lessons, epochs=3, progress=progress, name=name
        )

    whole = run(fresh(rows, dropout=0.1), "a")
    with pytest.raises(StopError):
        run(fresh(rows, dropout=0.1), "b", stop_after(6))
    resumed = run(fresh(rows, dropout=0.1), "b")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_teacher_stays_as_it_is_and_the_students_own_weights_alone_are_stored(tmp_path, teacher):
    rows = make_rows()
    before = copy.deepcopy(teacher.state_dict())
    student = trained(fresh(rows), rows, tmp_path, teacher=Distill(teacher.train(), mfd_weight=3.0), epochs=1)
    assert not teacher.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert not any(module._forward_pre_hooks for module in (*student.modules(), *teacher.modules()))


def lesson_of(teacher, student, rows, augment=lambda x: x, **options):
    lessons = Distill(teacher, **options)
    lessons.start(student, rows.cells)
    features = augment(student.preprocess(*inputs_of(rows)))
    return lessons.lesson(student.network, features, inputs_of(rows), Engine())[1]


def test_a_teacher_with_the_same_preprocessing_sees_the_augmented_row_and_another_the_row_in_its_own_scale(teacher):
    rows = make_rows()
    student = fresh(rows)
    augmented = teacher.network(teacher.preprocess(*inputs_of(rows)) + 1.0)
    assert torch.equal(lesson_of(teacher, student, rows, lambda x: x + 1.0).logits, augmented)
    student.preprocess.parts[0].mean += 1.0
    assert torch.equal(lesson_of(teacher, student, rows, lambda x: x + 1.0).logits, teacher(*inputs_of(rows)))


def test_logits_take_the_place_of_features_where_the_widths_differ(teacher):
    rows = make_rows()
    assert lesson_of(teacher, fresh(rows), rows, mfd_weight=3.0).features[0].shape == (256, 8)
    narrow = lesson_of(teacher, fresh(rows, hidden=4), rows, mfd_weight=3.0)
    assert narrow.features is None
    logits = torch.randn(256, 2)
    cells = rows.cells
    with_features = narrow.loss(torch.tensor(0.0), logits, cells.label, cells.group)
    kept = replace(narrow, feature_weight=0.0).loss(torch.tensor(0.0), logits, cells.label, cells.group)
    expected = 3.0 * feature_loss(logits, narrow.logits, cells.label, cells.group)
    assert (with_features - kept).item() == pytest.approx(expected.item(), rel=1e-4)


def test_robust_distillation_weighs_the_cell_that_the_student_follows_worst(teacher):
    rows, student = make_rows(), fresh(make_rows())
    cells = rows.cells
    lesson = lesson_of(teacher, student, rows, weight=1.0, dro_eta=1.0)
    worst = (cells.group == 1) & (cells.label == 0)
    logits = torch.where(worst[:, None], -lesson.logits, lesson.logits)
    plain = replace(lesson, robust=None)
    nothing = torch.tensor(0.0)
    before = plain.loss(nothing, logits, cells.label, cells.group).item()
    found = [lesson.loss(nothing, logits, cells.label, cells.group).item() for _ in range(20)]
    of_worst = soft_loss(logits[worst], lesson.logits[worst], 4.0).item()
    assert found[0] > before, "its rows are fewer than a quarter"
    assert found[-1] == pytest.approx(of_worst, rel=1e-3)
    assert lesson.robust.state()["q"].argmax() == 2


def test_the_robust_weights_touch_the_teachers_term_alone(teacher):
    rows = make_rows()
    logits = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
    entropy = torch.tensor(0.7)
    for eta in (0.0, 1.0):
        lesson = lesson_of(teacher, fresh(rows), rows, weight=0.4, dro_eta=eta)
        with_labels = lesson.loss(entropy, logits, rows.cells.label, rows.cells.group)
        lesson = lesson_of(teacher, fresh(rows), rows, weight=0.4, dro_eta=eta)
        without = lesson.loss(torch.tensor(0.0), logits, rows.cells.label, rows.cells.group)
        assert (with_labels - without).item() == pytest.approx(0.6 * 0.7, rel=1e-5)


class Recorded(Engine):
    """One process that remembers what it gathers."""

    def __init__(self):
        super().__init__()
        self.gathered = []

    def whole(self, part):
        self.gathered.append(part.detach())
        return part


class OneOfTwo(Engine):
    """One of two processes; what the other would send is taken from a whole run."""

    processes = 2

    def __init__(self, rank, gathered):
        super().__init__()
        self.rank = rank
        self.rest = iter(gathered)

    def whole(self, part):
        pieces = list(next(self.rest).chunk(2))
        assert torch.allclose(pieces[self.rank], part, atol=1e-6)
        pieces[self.rank] = part
        return torch.cat(pieces)


def test_two_processes_together_have_the_gradient_of_one(teacher):
    rows = make_rows(64)
    student = fresh(rows)
    parameters = list(student.parameters())

    def gradients(engine):
        lessons = Distill(teacher, mfd_weight=5.0)
        lessons.start(student, rows.cells)
        inputs = tuple(x.chunk(engine.processes)[engine.rank] for x in inputs_of(rows))
        logits, lesson = lessons.lesson(student.network, student.preprocess(*inputs), inputs, engine)
        set_gradients(
            parameters,
            engine.whole(logits),
            label=rows.cells.label,
            group=rows.cells.group,
            weights=torch.ones(64),
            methods=[],
            engine=engine,
            lesson=lesson,
        )
        return [parameter.grad.clone() for parameter in parameters]

    whole = Recorded()
    expected = gradients(whole)
    parts = [gradients(OneOfTwo(rank, whole.gathered)) for rank in (0, 1)]
    for one, two, both in zip(*parts, expected, strict=True):
        assert torch.allclose(one + two, both, atol=1e-6)
    assert any(item.abs().max() > 1e-3 for item in expected)


class Tokens(nn.Module):
    """A last layer that reads one vector per token."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(8, 2)

    def forward(self, x):
        return self.last(x[:, None, :].expand(-1, 3, 8)).mean(1)


def test_features_that_are_not_one_vector_per_row_are_refused(teacher):
    rows = make_rows()
    student = Classifier(fresh(rows).preprocess, nn.Sequential(nn.Linear(5, 8), Tokens()))
    with pytest.raises(ModelError, match=r"reads \[256, 3, 8\] in 1 calls for 256 rows"):
        lesson_of(teacher, student, rows, mfd_weight=1.0)
    assert lesson_of(teacher, student, rows).logits.shape == (256, 2)


def test_a_teacher_of_other_classes_or_inputs_is_refused():
    check_teacher(SPEC, SPEC)
    with pytest.raises(ModelError, match="the teacher's classes are yes, no"):
        check_teacher(replace(SPEC, classes=("yes", "no")), SPEC)
    other = InputSpec("categorical", "int32", (Column("job", ("a", "b")),))
    with pytest.raises(ModelError, match="reads input 'categorical' differently"):
        check_teacher(replace(SPEC, inputs=(SPEC.inputs[0], other)), SPEC)
    with pytest.raises(ModelError, match="reads input 'categorical' differently, or not at all"):
        check_teacher(replace(SPEC, inputs=SPEC.inputs[:1]), SPEC)
    with pytest.raises(ModelError, match="also reads input 'categorical'"):
        check_teacher(SPEC, replace(SPEC, inputs=SPEC.inputs[:1]))


@pytest.mark.parametrize("options", [{"temperature": 0}, {"weight": 1.5}, {"mfd_weight": -1}])
def test_options_out_of_range_are_refused(teacher, options):
    with pytest.raises(UsageError, match=f"distill: {next(iter(options))} is"):
        Distill(teacher, **options)
