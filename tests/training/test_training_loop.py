import contextlib
import copy

import pytest
import torch

from edgefair.debias import METHODS, Cells, Debias, open_method, open_methods
from edgefair.errors import DataError, ModelError, UsageError
from edgefair.probe.onnx_files.spec import Column, InputSpec, ModelSpec, Reading
from edgefair.progress import Progress, silent
from edgefair.training.build import build_classifier
from edgefair.training.checkpoint import Checkpoint, load_weights, save_weights
from edgefair.training.loop import TrainingRecipe, train
from edgefair.training.networks import open_network
from edgefair.training.rows import TrainingRows
from edgefair.training.selection import Standing
from edgefair.training.settings import DebiasConfig, ModelConfig, TrainConfig
from tests.training.interrupted import StopError, stop_after

SPEC = ModelSpec(
    inputs=(
        InputSpec("numeric", "float32", (Column("age"), Column("constant"))),
        InputSpec("categorical", "int32", (Column("job", ("a", "b", "c")),)),
    ),
    reading=Reading("decision", "label", 0.5, "score"),
    classes=("no", "yes"),
)
CONFIG = TrainConfig(epochs=3, batch_rows=64)


def make_rows(rows=400):
    generator = torch.Generator().manual_seed(1)
    job = torch.randint(3, (rows, 1), generator=generator, dtype=torch.int32)
    age = torch.randn(rows, 1, generator=generator)
    label = (age[:, 0] + (job[:, 0] == 2) > 0.3).long()
    group = torch.randint(2, (rows,), generator=generator)
    numeric = torch.cat([age, torch.ones_like(age)], dim=1)
    return TrainingRows.held((numeric, job), Cells(group, label, ("g0", "g1"), SPEC.classes))


def inputs_of(rows):
    return next(rows.batches(torch.arange(len(rows)), len(rows)))


def fresh(rows, seed=0):
    classifier = build_classifier(SPEC, ModelConfig(options={"hidden": [8]}), {}, seed=seed)
    classifier.preprocess.fit(*inputs_of(rows))
    return classifier


def test_training_learns_the_rule(tmp_path):
    rows = make_rows()
    classifier = fresh(rows)
    config = TrainConfig(epochs=30, batch_rows=64, learning_rate=0.02)
    checkpoint = Checkpoint(tmp_path / "c", "x")
    losses = train(classifier, rows, TrainingRecipe(config), seed=0, checkpoint=checkpoint, progress=silent).losses
    decided = classifier.eval()(*inputs_of(rows)).argmax(1)
    assert (decided == rows.cells.label).float().mean() > 0.95
    assert losses[-1] < losses[0] / 3


COMBINATIONS = [
    ["reweigh", "eo-penalty"],
    ["balance", "adversarial"],
    ["augment"],
    ["weighted-loss"],
    ["group-dro"],
    ["jtt"],
]


def preferring(epoch):
    """Standings of which the given epoch's is the best."""
    seen = iter(range(1, 100))
    return lambda: Standing(0.5, 0.9 if next(seen) == epoch else 0.6, 0.6, 0.0, -0.1, floor_kept=True)


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
def test_a_run_that_was_interrupted_in_an_epoch_ends_with_the_same_weights(tmp_path, names):
    rows = make_rows()

    def run(classifier, name, progress, validate):
        return train(
            classifier,
            rows,
            TrainingRecipe(CONFIG, open_methods([(method, {}) for method in names])),
            seed=3,
            checkpoint=Checkpoint(tmp_path / name, "x"),
            progress=progress,
            validate=validate,
        )

    whole, resumed = fresh(rows), fresh(rows)
    trained = run(whole, "a", silent, preferring(2))
    assert trained.kept == 2
    with pytest.raises(StopError):
        run(fresh(rows), "b", stop_after(10), preferring(2))
    again = run(resumed, "b", silent, preferring(1))
    assert again.losses == trained.losses
    assert again.standings == trained.standings
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_best_epoch_is_kept_and_without_a_judge_the_last(tmp_path):
    rows = make_rows()
    kept = []
    for epoch, validate in ((1, preferring(1)), (3, preferring(3)), (3, None)):
        classifier = fresh(rows)
        checkpoint = Checkpoint(tmp_path / f"c{len(kept)}", "x")
        trained = train(
            classifier, rows, TrainingRecipe(CONFIG), seed=0, checkpoint=checkpoint, progress=silent, validate=validate
        )
        assert trained.kept == epoch
        kept.append(classifier.network.state_dict()["0.weight"].clone())
    assert torch.equal(kept[1], kept[2])
    assert not torch.equal(kept[0], kept[2])


class Exploding(Debias):
    """A treatment that breaks the weights in its second epoch."""

    def __init__(self, step):
        self.step = step

    def penalty(self, logits, label, group):
        self.step -= 1
        return logits.sum() * (float("nan") if self.step == 0 else 0.0)


def test_training_that_diverges_is_stopped_and_the_best_epoch_before_it_kept(tmp_path):
    rows = make_rows()
    classifier = fresh(rows)
    checkpoint = Checkpoint(tmp_path / "c", "x")
    trained = train(
        classifier,
        rows,
        TrainingRecipe(CONFIG, [Exploding(step=10)]),
        seed=0,
        checkpoint=checkpoint,
        progress=silent,
        validate=preferring(1),
    )
    assert trained.kept == 1
    assert "diverged in epoch 2" in trained.notes[-1]
    assert "epoch 1 are kept" in trained.notes[-1]
    assert all(torch.isfinite(value).all() for value in classifier.state_dict().values())
    with pytest.raises(DataError, match="diverged in epoch 1"):
        train(
            fresh(rows),
            rows,
            TrainingRecipe(CONFIG, [Exploding(step=2)]),
            seed=0,
            checkpoint=Checkpoint(tmp_path / "d", "x"),
            progress=silent,
        )


@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs_with_three_groups_and_ten_classes_and_cells_that_batches_lack(tmp_path, name):
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(10).repeat(60)
    group = torch.where(torch.rand(600, generator=generator) < 0.9, 0, torch.randint(1, 3, (600,), generator=generator))
    group[:20] = torch.tensor([1, 2]).repeat_interleave(10)
    numeric = torch.nn.functional.one_hot(label, 10) + 0.25 * torch.randn(600, 10, generator=generator)
    spec = ModelSpec(
        (InputSpec("numeric", "float32", tuple(Column(str(k)) for k in range(10))),),
        Reading("decision", "label", None, "score"),
        tuple("abcdefghij"),
    )
    rows = TrainingRows.held((numeric,), Cells(group, label, ("g0", "g1", "g2"), spec.classes))
    classifier = build_classifier(spec, ModelConfig(options={"hidden": [16]}), {}, seed=0)
    classifier.preprocess.fit(numeric)
    config = TrainConfig(epochs=6, batch_rows=16, learning_rate=0.01)
    checkpoint = Checkpoint(tmp_path / "c", "x")
    trained = train(
        classifier,
        rows,
        TrainingRecipe(config, [open_method(name, {})], reference=copy.deepcopy(classifier)),
        seed=0,
        checkpoint=checkpoint,
        progress=silent,
    )
    assert all(loss == loss for loss in trained.losses)
    right = (classifier.eval()(numeric).argmax(1) == label).float()
    assert right.mean() > 0.8
    assert any("training rows" in note for note in trained.notes), "cells of a handful of rows are named"


def test_a_network_that_remembers_its_last_batch_alone_is_named(tmp_path):
    rows = make_rows()
    classifier = fresh(rows)
    classifier.network = torch.nn.Sequential(classifier.network, torch.nn.BatchNorm1d(2, momentum=0.997))
    trained = train(
        classifier, rows, TrainingRecipe(CONFIG), seed=0, checkpoint=Checkpoint(tmp_path / "c", "x"), progress=silent
    )
    assert "statistics are those of the last batch" in trained.notes[0]


def test_a_checkpoint_of_other_settings_is_not_resumed_from(tmp_path):
    rows = make_rows()
    with pytest.raises(StopError):
        train(
            fresh(rows),
            rows,
            TrainingRecipe(CONFIG),
            seed=3,
            checkpoint=Checkpoint(tmp_path / "c", "one"),
            progress=stop_after(10),
        )
    steps = []
    train(
        fresh(rows),
        rows,
        TrainingRecipe(CONFIG),
        seed=3,
        checkpoint=Checkpoint(tmp_path / "c", "other"),
        progress=Progress(lambda done, *_: steps.append(done)),
    )
    assert steps[0] == 1


def test_a_truncated_checkpoint_means_starting_again(tmp_path):
    rows = make_rows()
    checkpoint = Checkpoint(tmp_path / "c", "x")
    with pytest.raises(StopError):
        train(fresh(rows), rows, TrainingRecipe(CONFIG), seed=3, checkpoint=checkpoint, progress=stop_after(10))
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:100])
    trained = train(fresh(rows), rows, TrainingRecipe(CONFIG), seed=3, checkpoint=checkpoint, progress=silent)
    assert len(trained.losses) == CONFIG.epochs


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    rows = make_rows()
    config = TrainConfig(epochs=3, batch_rows=64, learning_rate=1e30)
    with pytest.raises(DataError, match="training diverged in epoch 1"):
        train(
            fresh(rows),
            rows,
            TrainingRecipe(config),
            seed=0,
            checkpoint=Checkpoint(tmp_path / "c", "x"),
            progress=silent,
        )


def test_an_unseen_category_lights_no_slot_and_numbers_are_scaled_and_clipped():
    rows = make_rows()
    preprocess = fresh(rows).preprocess
    features = preprocess(torch.tensor([[1e9, 1.0]]), torch.tensor([[-1]], dtype=torch.int32))
    assert features.tolist() == [[5.0, 0.0, 0.0, 0.0, 0.0]]
    scaled = preprocess(*inputs_of(rows))
    assert abs(float(scaled[:, 0].mean())) < 0.02
    assert torch.equal(scaled[:, 2:].argmax(1), inputs_of(rows)[1][:, 0].long())


class Boom:
    def __reduce__(self):
        return (print, ("unpickled",))


def test_weights_that_need_unpickling_are_refused_and_not_run(tmp_path, capsys):
    torch.save({"weight": Boom()}, tmp_path / "evil.pt")
    with pytest.raises(ModelError, match="pickled objects are never loaded"):
        load_weights(tmp_path / "evil.pt", torch.nn.Linear(1, 1))
    assert "unpickled" not in capsys.readouterr().out


def test_weights_of_another_network_are_refused(tmp_path):
    save_weights(torch.nn.Linear(3, 2), tmp_path / "w.safetensors")
    load_weights(tmp_path / "w.safetensors", torch.nn.Linear(3, 2))
    with pytest.raises(ModelError, match="do not fit"):
        load_weights(tmp_path / "w.safetensors", torch.nn.Linear(4, 2))
    (tmp_path / "w.safetensors").write_bytes(b"short")
    with pytest.raises(ModelError, match="cannot be read"):
        load_weights(tmp_path / "w.safetensors", torch.nn.Linear(3, 2))


def test_the_users_own_factory_is_used(tmp_path, monkeypatch):
    (tmp_path / "my_networks.py").write_text(
        "import torch\n"
        "def wide(*, features, classes, width=4):\n"
        "    return torch.nn.Sequential(torch.nn.Linear(features[0], width), torch.nn.Linear(width, classes))\n"
        "def broken(*, features, classes):\n"
        "    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    network = open_network("my_networks:wide", features=(5,), classes=2, options={"width": 7})
    assert network[0].weight.shape == (7, 5)
    with pytest.raises(UsageError, match="did you mean 'width'"):
        open_network("my_networks:wide", features=(5,), classes=2, options={"widht": 7})
    with pytest.raises(UsageError, match="returned a int"):
        open_network("my_networks:broken", features=(5,), classes=2, options={})
    with pytest.raises(UsageError, match="cannot be imported"):
        open_network("my_networks:absent", features=(5,), classes=2, options={})
    with pytest.raises(UsageError, match="did you mean 'mlp'"):
        open_network("mpl", features=(5,), classes=2, options={})


def test_debias_accepts_names_and_none():
    assert DebiasConfig(train="none").train == ()
    assert [item.method for item in DebiasConfig(train=["reweigh", {"method": "eo-penalty"}]).train] == [
        "reweigh",
        "eo-penalty",
    ]


@pytest.mark.parametrize(
    ("epochs", "told"), [(3, [1, 2, 3]), (10, [*range(1, 11)]), (25, [3, 5, 8, 10, 13, 15, 18, 20, 23, 25])]
)
def test_a_log_has_a_line_an_epoch_and_of_many_epochs_ten(tmp_path, epochs, told):
    rows, lines = make_rows(100), []
    log = Progress(lambda done, total, what: None if done or total else lines.append(what))
    config = TrainConfig(epochs=epochs, batch_rows=64)
    trained = train(
        fresh(rows), rows, TrainingRecipe(config), seed=0, checkpoint=Checkpoint(tmp_path / "c", "x"), progress=log,
        validate=preferring(2),
    )  # fmt: skip
    assert [line.partition(":")[0] for line in lines] == [f"epoch {number}/{epochs}" for number in told]
    last = f"loss {trained.losses[-1]:.4g}, on validation rows balanced accuracy 0.6000, gap 0.0000, aim kept"
    assert lines[-1].partition(": ")[2] == last


def test_a_log_says_after_which_epoch_training_goes_on(tmp_path):
    rows, lines = make_rows(), []
    log = Progress(lambda done, total, what: None if done or total else lines.append(what))
    for progress in (stop_after(10), log):
        with contextlib.suppress(StopError):
            train(
                fresh(rows), rows, TrainingRecipe(CONFIG), seed=0, checkpoint=Checkpoint(tmp_path / "c", "x"),
                progress=progress,
            )  # fmt: skip
    assert [line.partition(":")[0] for line in lines] == ["going on after epoch 1/3", "epoch 2/3", "epoch 3/3"]
