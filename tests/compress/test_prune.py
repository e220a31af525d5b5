"""Structured pruning of real networks: how far, what leaves together, and what is refused."""

import pytest
import torch
from torch import nn

from edgefair.compress.prune import prune
from edgefair.errors import ModelError, UsageError
from edgefair.training.networks import open_network

NETWORKS = {
    "mlp": ((12,), {"hidden": [64, 32]}),
    "resnet-18": ((3, 32, 32), {"width": 0.25}),
    "mobilenet-v2": ((3, 32, 32), {"width": 0.35, "dropout": 0.0}),
    "convnext-tiny": ((3, 32, 32), {"width": 0.2, "depths": [1, 1, 1, 1]}),
}


def network_of(name, seed=0):
    features, options = NETWORKS[name]
    torch.manual_seed(seed)
    return open_network(name, features=features, classes=3, options=options), torch.randn(2, *features)


def macs_of(network, x):
    """Multiply-accumulates of one row, counted by hooks on the layers that have any."""
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            per_output = layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]
            total += output[0].numel() * per_output
        else:
            total += output[0].numel() * layer.in_features

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        network.eval()(x)
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_half_of_the_macs_and_their_parameters_are_gone(name, scope):
    network, x = network_of(name)
    before, parameters = macs_of(network, x), sum(item.numel() for item in network.parameters())
    done = prune(network, x[:1], ratio=0.5, scope=scope)
    assert 0.35 * before < macs_of(network, x) <= 0.51 * before
    assert done.macs[1] <= 0.5 * done.macs[0]
    assert done.parameters == (parameters, sum(item.numel() for item in network.parameters()))
    logits = network.train()(x)
    assert logits.shape == (2, 3)
    logits.sum().backward()


def shrink(network, layer, next_layer, channels):
    """Make the first channels of a layer small, on their way in and out."""
    with torch.no_grad():
        network[layer].weight[:channels] *= 1e-3
        network[layer].bias[:channels] = 0
        network[next_layer].weight[:, :channels] *= 1e-3


def test_the_smallest_channels_leave_and_the_others_compute_what_they_did():
    network, x = network_of("mlp")
    shrink(network, 0, 2, 32)
    shrink(network, 2, 4, 16)
    with torch.no_grad():
        expected = network(x)
    prune(network, x[:1], ratio=0.5, scope="global")
    assert 32 <= network[0].out_features < 50
    assert network[4].out_features == 3
    assert network[2].out_features >= 16
    assert torch.allclose(network(x), expected, atol=1e-3)


def test_global_pruning_takes_the_weakest_of_all_layers_and_local_the_same_share_of_each():
    shares = {}
    for scope in ("local", "global"):
        network, x = network_of("mlp")
        shrink(network, 2, 4, 24)
        prune(network, x[:1], ratio=0.4, scope=scope)
        shares[scope] = (network[0].out_features / 64, network[2].out_features / 32)
    assert abs(shares["local"][0] - shares["local"][1]) < 0.1
    assert shares["global"][1] < shares["local"][1] < shares["global"][0]


def test_equal_weights_give_equal_channels():
    states = []
    for _ in range(2):
        network, x = network_of("resnet-18")
        prune(network, x[:1], ratio=0.3, scope="global")
        states.append(network.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1, 1.5])
def test_a_ratio_out_of_range_is_refused(ratio):
    network, x = network_of("mlp")
    with pytest.raises(UsageError, match="above 0 and below 1"):
        prune(network, x[:1], ratio=ratio, scope="local")


def test_a_ratio_that_would_empty_the_layers_is_refused():
    network, x = network_of("mlp")
    with pytest.raises(ModelError, match=r"pruning ended at .* of the MACs"):
        prune(network, x[:1], ratio=0.999, scope="local")


def test_what_cannot_be_pruned_says_so():
    vit = open_network("vit-small", features=(3, 32, 32), classes=3, options={"width": 32, "depth": 2, "heads": 2})
    with pytest.raises(ModelError, match="cannot be pruned"):
        prune(vit, torch.zeros(1, 3, 32, 32), ratio=0.5, scope="local")
    with pytest.raises(ModelError, match="no linear layer"):
        prune(nn.Conv2d(1, 2, 1), torch.zeros(1, 1, 2, 2), ratio=0.5, scope="local")
    with pytest.raises(ModelError, match="tokens"):
        prune(nn.Linear(2, 2), torch.zeros(1, 2, dtype=torch.int64), ratio=0.5, scope="local")
