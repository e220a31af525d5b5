"""Weights that share values: which, how small they make the layer, and that they stay shared."""

import copy
import json
import zlib

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import nn

from edgefair.compress.steps.cluster import Cluster, k_means, linear
from edgefair.errors import ModelError, UsageError
from edgefair.progress import Progress
from edgefair.training.checkpoint import Checkpoint, load_weights, save_weights
from edgefair.training.loop import TrainingRecipe, train
from edgefair.training.networks import open_network
from edgefair.training.settings import TrainConfig
from tests.compress.tiny_networks import any_rows, classifier_of, context_of


def small():
    torch.manual_seed(0)
    return classifier_of(
        nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 16), nn.ReLU(), nn.Linear(16, 2)),
        2,
        6,
        6,
    )


def clustered(classifier, k):
    step = Cluster(k)
    plan = json.loads(json.dumps(step.plan(classifier, context_of(any_rows(2, 6, 6)))))
    step.apply(classifier, plan)
    return plan


class StopError(Exception):
    pass


def fit(classifier, folder, name, *, stop=None):
    def progress(done, _total, _what):
        if stop is not None and done >= stop:
            raise StopError

    config = TrainConfig(epochs=3, batch_rows=16, learning_rate=0.02)
    checkpoint = Checkpoint(folder / name, "x")
    train(
        classifier,
        any_rows(2, 6, 6),
        TrainingRecipe(config),
        seed=1,
        checkpoint=checkpoint,
        progress=Progress(progress),
    )
    return classifier


def test_a_weight_of_k_values_is_its_own_codebook_whatever_their_numbers():
    weight = torch.tensor([-1.0] * 90 + [0.25] * 7 + [3.0] * 3)[torch.randperm(100)].reshape(10, 10)
    codebook, index = k_means(weight, 3)
    assert codebook.tolist() == [-1.0, 0.25, 3.0]
    assert torch.equal(codebook[index.long()], weight)


@pytest.mark.parametrize("k", [2, 5, 16, 64])
def test_every_weight_has_the_nearest_value_every_value_is_the_mean_of_its_weights_and_few_do_better(k):
    weight = torch.randn(40, 50, generator=torch.Generator().manual_seed(3)) ** 3
    codebook, index = k_means(weight, k)
    assert len(codebook) == k
    distance = (weight.flatten()[:, None] - codebook[None, :]).abs()
    own = distance.gather(1, index.flatten().long()[:, None])[:, 0]
    assert torch.allclose(own, distance.amin(1), atol=1e-6)
    means = [weight[index == position].mean() for position in range(len(codebook))]
    assert torch.allclose(torch.stack(means), codebook, atol=1e-5)
    peer = KMeans(k, n_init=5, random_state=0).fit(weight.reshape(-1, 1).numpy())
    assert float((own**2).sum()) <= 1.25 * peer.inertia_


def test_linear_values_lie_evenly_every_weight_takes_the_nearest_and_what_none_takes_is_left_out(tmp_path):
    weight = torch.tensor([[0.0, 0.1, 0.2], [0.9, 1.0, 0.6]])
    codebook, index = linear(weight, 5)
    assert codebook.tolist() == [0.0, 0.25, 0.5, 1.0]
    assert torch.equal(index, torch.tensor([[0, 0, 1], [3, 3, 2]], dtype=torch.int32))
    classifier, step = small(), Cluster(8, centroids="linear")
    plan = json.loads(json.dumps(step.plan(classifier, context_of(any_rows(2, 6, 6)))))
    best = Cluster(8).plan(classifier, context_of(any_rows(2, 6, 6)))
    assert all(plan["layers"][name]["error"] > item["error"] for name, item in best["layers"].items())
    step.apply(classifier, plan)
    fit(classifier, tmp_path, "linear")
    step.finish(classifier)
    for name, item in plan["layers"].items():
        assert len(classifier.state_dict()[f"network.{name}.weight"].unique()) == item["values"] <= 8


def test_no_layer_has_more_than_k_values_and_they_stay_shared_while_they_are_trained(tmp_path):
    classifier = small()
    plan = clustered(classifier, 4)
    before = copy.deepcopy(classifier.state_dict())
    index = before["network.0.index"].long()
    fit(classifier, tmp_path, "c")
    Cluster(4).finish(classifier)
    state = classifier.state_dict()
    assert set(state) == set(small().state_dict())
    for name in ("0", "3", "5"):
        assert plan["layers"][name]["values"] == 4
        assert len(state[f"network.{name}.weight"].unique()) == 4
    moved = state["network.0.weight"]
    assert all(len(moved[index == value].unique()) == 1 for value in range(4))
    assert not torch.equal(moved, before["network.0.codebook"][index])


def test_a_value_moves_by_the_sum_of_its_weights_gradients():
    classifier, x = small(), torch.randn(8, 2, 6, 6)
    clustered(classifier, 4)
    plain = copy.deepcopy(classifier)
    Cluster(4).finish(plain)
    index = classifier.network[3].index
    classifier(x)[:, 0].sum().backward()
    plain(x)[:, 0].sum().backward()
    each = plain.network[3].weight.grad
    expected = torch.stack([each[index == value].sum() for value in range(4)])
    assert torch.allclose(classifier.network[3].codebook.grad, expected, rtol=1e-4, atol=1e-5)


def test_an_interrupted_fine_tune_ends_with_the_same_weights_and_they_load_into_a_plan_carried_out_again(tmp_path):
    whole, cut, resumed, loaded = (small() for _ in range(4))
    for classifier in (whole, cut, resumed, loaded):
        clustered(classifier, 4)
    fit(whole, tmp_path, "a")
    with pytest.raises(StopError):
        fit(cut, tmp_path, "b", stop=6)
    fit(resumed, tmp_path, "b")
    save_weights(whole, tmp_path / "w.safetensors")
    load_weights(tmp_path / "w.safetensors", loaded)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
        assert torch.equal(value, loaded.state_dict()[name]), name


def test_the_sizes_in_the_plan_are_those_of_the_indices():
    classifier = small()
    sizes = clustered(classifier, 16)["layers"]["3"]["bytes"]
    index = classifier.network[3].index.numpy()
    assert sizes["float"] == 4 * 96 * 16
    assert sizes["index"] == 96 * 16 // 2 + 4 * 16
    assert sizes["entropy"] <= sizes["index"]
    share = np.bincount(index.ravel()) / index.size
    assert sizes["entropy"] == pytest.approx(-(share * np.log2(share)).sum() * index.size / 8 + 64, abs=1)
    packed = len(zlib.compress(index.astype(np.uint8).tobytes(), 9))
    assert sizes["entropy"] - 64 <= packed <= sizes["float"] / 5


def test_layers_of_few_weights_and_shared_weights_stay_with_their_reasons():
    network = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 40), nn.Linear(40, 2))
    network[1].weight = network[0].weight
    classifier = classifier_of(network, 8)
    plan = Cluster(100).plan(classifier, context_of(any_rows(8)))
    assert set(plan["layers"]) == {"2"}
    shares = "shares its weight with another module"
    assert plan["skipped"] == {"0": shares, "1": shares, "3": "has only 80 weights"}
    with pytest.raises(ModelError, match="no layer whose weights can be clustered"):
        Cluster(1000).check(classifier)


def test_a_transformer_that_looks_at_the_type_of_its_weights_is_clustered_too():
    network = open_network(
        "vit-small", features=(2, 6, 6), classes=2, options={"width": 16, "depth": 1, "heads": 2, "patch_size": 3}
    )
    classifier, x = classifier_of(network, 2, 6, 6), torch.randn(3, 2, 6, 6)
    clustered(classifier, 8)
    shared = classifier.eval()(x)
    Cluster(4).finish(classifier)
    assert torch.equal(classifier(x), shared)


@pytest.mark.parametrize("k", [0, 1, 4097])
def test_a_number_of_values_out_of_range_is_refused(k):
    with pytest.raises(UsageError, match=f"cluster is {k}"):
        Cluster(k)


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(ModelError, match="not finite"):
        k_means(torch.tensor([0.0, float("nan"), 1.0]), 2)
