"""Sparsity of single weights, the baseline: which become 0, that they stay 0 while training, and what is refused."""

import copy
import json

import pytest
import torch
from torch import nn

from edgefair.compress.steps import sparsity
from edgefair.compress.steps.sparsity import Sparsify
from edgefair.debias import open_methods
from edgefair.errors import ModelError, UsageError
from edgefair.progress import Progress
from edgefair.training.checkpoint import Checkpoint, load_weights, save_weights
from edgefair.training.loop import TrainingRecipe, train
from edgefair.training.settings import TrainConfig
from tests.compress.tiny_networks import any_rows, classifier_of, context_of


def small():
    torch.manual_seed(0)
    return classifier_of(
        nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10), nn.Linear(10, 2)
        ),
        3,
        4,
        4,
    )


def sparse(classifier, ratio, scope="local"):
    step = Sparsify(ratio, scope=scope)
    plan = json.loads(json.dumps(step.plan(classifier, context_of(any_rows(3, 4, 4)))))
    step.apply(classifier, plan)
    return plan


def fit(classifier, path, *methods, stop=None, rate=0.02):
    def progress(done, _total, _what):
        if done == stop:
            raise KeyboardInterrupt

    config = TrainConfig(epochs=3, batch_rows=16, learning_rate=rate, weight_decay=0.1)
    opened = open_methods([(name, {}) for name in methods])
    train(
        classifier,
        any_rows(3, 4, 4),
        TrainingRecipe(config, opened),
        seed=1,
        checkpoint=Checkpoint(path, "x"),
        progress=Progress(progress),
    )
    return classifier


def test_local_takes_the_smallest_of_every_layer_and_leaves_the_last_alone():
    whole, one = small(), small()
    plan = sparse(one, 0.75)
    for layer in (0, 4):
        weight, before = one.network[layer].weight.detach(), whole.network[layer].weight.detach()
        assert (weight == 0).float().mean() == pytest.approx(0.75, abs=0.01)
        assert before[weight == 0].abs().max() <= before[weight != 0].abs().min()
        assert torch.equal(weight[weight != 0], before[weight != 0])
    assert torch.equal(one.network[5].weight, whole.network[5].weight)
    assert plan["layers"] == {"0": [216, 162], "4": [320, 240]}
    assert (plan["weights"], plan["zeros"]) == (536, 402)
    assert plan["skipped"] == {"5": "the last linear layer"}


def test_global_takes_the_smallest_of_all_layers():
    one = small()
    with torch.no_grad():
        one.network[4].weight *= 100
    plan = sparse(one, 0.3, "global")
    assert plan["layers"]["0"][1] > 0.7 * 216
    assert plan["layers"]["4"][1] < 0.1 * 320
    assert plan["zeros"] == round(0.3 * plan["weights"])


@pytest.mark.parametrize("methods", [[], ["eo-penalty"], ["adversarial"], ["group-dro"]])
def test_zeros_stay_zeros_through_a_fine_tune_whatever_treats_it(tmp_path, methods):
    one = small()
    sparse(one, 0.75)
    before = {layer: one.network[layer].weight.detach().clone() for layer in (0, 4)}
    expected = fit(one, tmp_path / "run", *methods).eval()(torch.ones(2, 3, 4, 4))
    Sparsify(0.5).finish(one)
    for layer, weight in before.items():
        trained = one.network[layer].weight
        assert isinstance(trained, nn.Parameter)
        assert torch.equal(trained == 0, weight == 0)
        assert not torch.allclose(trained[weight != 0], weight[weight != 0], atol=1e-3)
    assert [type(layer) for layer in one.network] == [type(layer) for layer in small().network]
    assert torch.equal(one(torch.ones(2, 3, 4, 4)), expected)


def test_a_constant_sparsity_chooses_anew_while_it_trains_and_ends_with_its_share(tmp_path, monkeypatch):
    monkeypatch.setattr(sparsity, "EVERY", 3)
    one, cut = small(), small()
    step = Sparsify(0.75, schedule="constant")
    for each in (one, cut):
        step.apply(each, step.plan(each, context_of(any_rows(3, 4, 4))))
    before = one.eval().network[0].weight.detach() == 0
    expected = fit(one, tmp_path / "run", rate=0.5).eval()(torch.ones(2, 3, 4, 4))
    with pytest.raises(KeyboardInterrupt):
        fit(cut, tmp_path / "cut", stop=6, rate=0.5)
    fit(cut, tmp_path / "cut", rate=0.5)
    step.finish(one.eval())
    step.finish(cut.eval())
    after = one.network[0].weight == 0
    assert (before.sum(), after.sum()) == (162, 162)
    assert not torch.equal(before, after)
    assert torch.equal(one(torch.ones(2, 3, 4, 4)), expected)
    assert all(torch.equal(value, cut.state_dict()[name]) for name, value in one.state_dict().items())


def test_what_was_interrupted_goes_on_to_the_same_weights(tmp_path):
    straight, again = small(), small()
    plan = sparse(straight, 0.5)
    fit(straight, tmp_path / "straight")
    step = Sparsify(0.5)
    step.apply(again, plan)
    with pytest.raises(KeyboardInterrupt):
        fit(again, tmp_path / "again", stop=6)
    other = small()
    step.apply(other, plan)
    fit(other, tmp_path / "again")
    save_weights(other, tmp_path / "weights.safetensors")
    read = small()
    step.apply(read, plan)
    load_weights(tmp_path / "weights.safetensors", read)
    Sparsify(0.5).finish(read)
    Sparsify(0.5).finish(straight)
    assert all(torch.equal(value, read.state_dict()[name]) for name, value in straight.state_dict().items())


def test_a_layer_that_would_have_no_weight_left_is_refused_up_front():
    one = small()
    with torch.no_grad():
        one.network[0].weight *= 1e-6
    Sparsify(0.5).check(one)
    with pytest.raises(ModelError, match=r"(?s)every weight of '0' to 0.*scope local"):
        Sparsify(0.5, scope="global").check(one)
    with pytest.raises(ModelError, match="every weight of '0'"):
        Sparsify(0.999).check(one)


def test_a_weight_that_two_modules_share_is_left_alone():
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 8), nn.Linear(8, 2))
    network[1].weight = network[0].weight
    one = classifier_of(network, 3)
    before = copy.deepcopy(network[0].weight)
    assert list(sparse(one, 0.5)["layers"]) == ["2"]
    assert torch.equal(network[1].weight, before)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="above 0"):
        Sparsify(1.0)
    with pytest.raises(UsageError, match="scope"):
        Sparsify(0.5, scope="everywhere")
    with pytest.raises(UsageError, match="schedule"):
        Sparsify(0.5, schedule="rarely")
    with pytest.raises(UsageError, match="scope is global"):
        Sparsify(0.5, scope="global", schedule="constant")
    with pytest.raises(ModelError, match="no layer whose weights"):
        Sparsify(0.5).check(classifier_of(nn.Sequential(nn.Linear(2, 2)), 2))
