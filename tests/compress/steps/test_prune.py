"""Structured pruning of real networks: how far, what leaves together, and what is refused."""

import copy
import json

import pytest
import torch
from torch import nn

from edgefair.compress.steps.cost import macs
from edgefair.compress.steps.pruning.choose import leaving, rounded
from edgefair.compress.steps.pruning.cut import cut, heads_of, without
from edgefair.compress.steps.pruning.gates import Gates
from edgefair.compress.steps.pruning.step import Prune
from edgefair.compress.steps.pruning.units import Unit, find_units, removal
from edgefair.errors import ModelError, UsageError
from tests.compress.steps.prune_cases import NETWORKS, any_context, built_in, classifier_of
from tests.compress.tiny_networks import macs_of


def pruned(classifier, x, ratio=0.5, original=None, **options):
    """The plan, and the classifier that it makes."""
    step = Prune(ratio, **options)
    step.check(classifier)
    plan = step.plan(classifier, any_context(x, original=original))
    other = copy.deepcopy(classifier)
    step.apply(other, plan)
    return plan, other


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        *((name, "local") for name in sorted(NETWORKS)),
        *((name, "global") for name in sorted(set(NETWORKS) - {"mobilenet-v2"})),
        pytest.param("mobilenet-v2", "global", marks=pytest.mark.long),
    ],
)
def test_half_of_the_macs_is_gone_and_what_is_left_can_be_trained(name, scope):
    classifier, x = built_in(name)
    before = macs_of(classifier.network, x[:1])
    parameters = sum(item.numel() for item in classifier.parameters())
    plan, other = pruned(classifier, x, scope=scope)
    assert 0.4 * before < macs_of(other.network, x[:1]) <= 0.53 * before
    assert 0.4 * plan["before"]["macs"] < plan["after"]["macs"] <= 0.5 * plan["before"]["macs"]
    assert plan["before"]["parameters"] == parameters
    assert plan["after"]["parameters"] == sum(item.numel() for item in other.parameters()) < 0.8 * parameters
    logits = other.train()(x[:4])
    assert logits.shape == (4, 3)
    logits.sum().backward()


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"mobilenet-v2"}))
def test_a_plan_of_plain_json_gives_an_equal_network_the_structure_that_the_weights_fit(name):
    classifier, x = built_in(name)
    other, _ = built_in(name, seed=1)
    plan, small = pruned(classifier, x, importance="random")
    Prune(0.5).apply(other, json.loads(json.dumps(plan)))
    other.load_state_dict(small.state_dict())
    with torch.no_grad():
        assert torch.equal(other.eval()(x), small.eval()(x))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_cut_network_computes_what_the_whole_one_does_with_the_channels_unread(name):
    classifier, x = built_in(name)
    example = x[:1]
    units, _ = find_units(classifier.network, example)
    norms = {path for path, module in classifier.network.named_modules() if isinstance(module, nn.LayerNorm)}
    # A LayerNorm averages over its channels, so with fewer of them it gives other numbers.
    units = [unit for unit in units if not norms & {member.path for member in unit.members}]
    gone = [torch.arange(unit.atoms)[::3] for unit in units]
    gates = [torch.ones(unit.atoms).index_fill(0, atoms, 0.0) for unit, atoms in zip(units, gone, strict=True)]
    gated = Gates(classifier.network, units, example)
    with torch.no_grad():
        expected = gated(x, gates)
        dense = classifier(x)
    assert not torch.allclose(expected, dense, atol=1e-3)
    assert float(gated.macs([torch.ones(unit.atoms) for unit in units])) == pytest.approx(1.0)
    cut(classifier.network, removal(units, gone))
    with torch.no_grad():
        assert torch.allclose(classifier(x), expected, atol=1e-4)


def test_the_macs_of_gates_are_those_of_the_network_that_is_left():
    classifier, x = built_in("mobilenet-v2")
    units, _ = find_units(classifier.network, x[:1])
    gone = [torch.arange(unit.atoms)[::4] for unit in units]
    gates = [torch.ones(unit.atoms).index_fill(0, atoms, 0.0) for unit, atoms in zip(units, gone, strict=True)]
    share = float(Gates(classifier.network, units, x[:1]).macs(gates))
    before = macs(classifier.network, x[:1])
    cut(classifier.network, removal(units, gone))
    assert macs(classifier.network, x[:1]) / before == pytest.approx(share, rel=1e-5)


def test_whole_attention_heads_leave_and_a_head_keeps_its_width():
    classifier, x = built_in("vit-small")
    plan, other = pruned(classifier, x, ratio=0.7)
    attentions = [module for module in other.network.modules() if heads_of(module)]
    assert len(attentions) == 2
    for attention in attentions:
        heads, left = heads_of(attention), attention.num_attention_heads
        assert left in {2, 3}
        assert heads.size == 8
        assert {attention.get_submodule(name).out_features for name in heads.layers} == {8 * left}
        assert getattr(attention, "all_head_size", 8 * left) == 8 * left
    values = [kept for name, kept in plan["kept"].items() if name.endswith((".value", ".v_proj"))]
    assert values == [[2, 4]] * 2


class Grouped(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.norm = nn.GroupNorm(4, 16)
        self.second = nn.Conv2d(16, 16, 3, padding=1, groups=4)
        self.last = nn.Linear(16, 2)

    def forward(self, x):
        return self.last(self.second(self.norm(self.first(x)).relu()).relu().mean(dim=(2, 3)))


def test_every_group_of_a_grouped_convolution_loses_the_same_channels():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 8, 8)
    _, other = pruned(classifier_of(Grouped(), (3, 8, 8)), x, round_to=1)
    assert other.network.second.groups == 4
    assert other.network.second.in_channels % 4 == other.network.second.out_channels % 4 == 0
    assert other.network.second.in_channels < 16
    with torch.no_grad():
        assert other(x).shape == (4, 2)


def shrink(network, layer, next_layer, channels):
    """Make the first channels of a layer small, on their way in and out."""
    with torch.no_grad():
        network[layer].weight[:channels] *= 1e-3
        network[layer].bias[:channels] = 0
        network[next_layer].weight[:, :channels] *= 1e-3


def test_the_smallest_channels_leave_and_the_others_compute_what_they_did():
    classifier, x = built_in("mlp")
    shrink(classifier.network, 0, 2, 32)
    shrink(classifier.network, 2, 4, 16)
    _, other = pruned(classifier, x, scope="global", round_to=1)
    assert 32 <= other.network[0].out_features < 50
    assert other.network[2].out_features >= 16
    assert other.network[4].out_features == 3
    with torch.no_grad():
        assert torch.allclose(other(x), classifier(x), atol=1e-3)


def test_global_pruning_takes_the_weakest_of_all_layers_and_local_the_same_share_of_each():
    shares = {}
    for scope in ("local", "global"):
        classifier, x = built_in("mlp")
        shrink(classifier.network, 2, 4, 24)
        _, other = pruned(classifier, x, ratio=0.4, scope=scope, round_to=1)
        shares[scope] = (other.network[0].out_features / 64, other.network[2].out_features / 32)
    assert abs(shares["local"][0] - shares["local"][1]) < 0.1
    assert shares["global"][1] < shares["local"][1] < shares["global"][0]


def test_the_network_that_is_asked_about_is_not_changed():
    classifier, x = built_in("resnet-18")
    classifier.train()
    before = copy.deepcopy(classifier.state_dict())
    first = Prune(0.3, scope="global").plan(classifier, any_context(x))
    assert classifier.network.training
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())
    assert Prune(0.3, scope="global").plan(classifier, any_context(x)) == first


def test_two_steps_of_growing_ratios_end_at_the_share_of_the_original():
    classifier, x = built_in("resnet-18")
    original = macs(classifier.network, x[:1])
    _, once = pruned(classifier, x, ratio=0.3)
    plan, twice = pruned(once, x, ratio=0.5, original={"macs": original})
    assert 0.45 * original < macs(twice.network, x[:1]) <= 0.5 * original
    assert plan["before"]["macs"] <= 0.7 * original
    nothing, same = pruned(twice, x, ratio=0.4, original={"macs": original})
    assert nothing["cut"] == {}
    assert nothing["after"] == nothing["before"]
    assert macs(same.network, x[:1]) == macs(twice.network, x[:1])


def test_a_share_of_the_parameters_or_of_the_measured_time_can_be_the_target():
    classifier, x = built_in("resnet-18")
    plan, _ = pruned(classifier, x, measure="parameters")
    assert 0.45 < plan["after"]["parameters"] / plan["before"]["parameters"] <= 0.5
    calls = []

    def clock(other):
        calls.append(macs(other.network, x[:1]))
        return 1.0 + calls[-1] / 1e6

    plan = Prune(0.4, measure="latency").plan(classifier, any_context(x, latency_ms=clock))
    assert plan["before"]["latency"] == 1.0 + calls[0] / 1e6
    assert 0.5 < plan["after"]["latency"] / plan["before"]["latency"] <= 0.6
    assert len(calls) <= 10
    with pytest.raises(UsageError, match="cannot be measured"):
        Prune(0.4, measure="latency").plan(classifier, any_context(x))


def test_wide_layers_keep_multiples_of_sixteen_channels_and_narrow_ones_smaller_steps():
    def unit(atoms, *, width=1, heads=False):
        return Unit("u", atoms, width, heads, ())

    units = [unit(64), unit(64), unit(32), unit(12), unit(32, width=4), unit(3, heads=True), unit(100)]
    assert rounded(units, [45.3, 2.0, 19.0, 7.4, 19.0, 1.6, 99.0], 16) == [48, 16, 16, 8, 20, 2, 96]
    assert rounded(units, [float(unit.atoms) for unit in units], 16) == [unit.atoms for unit in units]
    assert rounded(units[:2], [45.3, 2.0], 1) == [45, 4]


def test_of_equal_scores_the_last_leave():
    assert leaving([torch.tensor([1.0, 0.5, 0.5, 2.0, 0.5])], [3])[0].tolist() == [2, 4]


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1, 1.5])
def test_a_ratio_out_of_range_is_refused(ratio):
    with pytest.raises(UsageError, match="above 0 and below 1"):
        Prune(ratio)


@pytest.mark.parametrize("options", [{"scope": "all"}, {"importance": "luck"}, {"measure": "joules"}, {"beta": 0.0}])
def test_a_setting_out_of_range_is_refused(options):
    with pytest.raises(UsageError):
        Prune(0.5, **options)


def test_a_ratio_that_would_empty_the_layers_is_refused_up_front():
    classifier, _ = built_in("mlp")
    with pytest.raises(ModelError, match=r"pruning stops at .* of the channels gone"):
        Prune(0.999).check(classifier)


class Fixed(nn.Module):
    """Its second view knows the number of channels."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(8 * 16, 2)

    def forward(self, x):
        x = self.first(x).relu()
        return self.last(self.second(x).relu().view(-1, 8 * 16))


class Mute(nn.Module):
    """Torch cannot see how its logits come about."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return torch.from_numpy(self.layer(x).detach().numpy() * 2)


def test_a_layer_behind_which_a_view_has_a_fixed_size_stays_whole():
    plan, other = pruned(classifier_of(Fixed(), (3, 4, 4)), torch.randn(4, 3, 4, 4), ratio=0.4)
    assert plan["whole"] == ["second"]
    assert other.network.second.out_channels == 8
    assert other.network.first.out_channels == other.network.second.in_channels < 8
    with pytest.raises(ModelError, match="second must keep all channels"):
        Prune(0.95).check(classifier_of(Fixed(), (3, 4, 4)))


class Recurrent(nn.Module):
    """Two convolutions, of which a recurrent layer reads the second, and two layers behind its steps and last state."""

    def __init__(self, layer):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 12, 3)
        self.steps, self.ways = layer, 2 if layer.bidirectional else 1
        self.wide = nn.Linear(2 * self.ways * (layer.proj_size or layer.hidden_size), 20)
        self.head = nn.Linear(20, 3)

    def forward(self, x):
        rows = torch.relu(self.second(torch.relu(self.first(x)))).mean(3)
        steps, state = self.steps(rows.transpose(1, 2))
        last = (state[0] if isinstance(state, tuple) else state)[-self.ways :]
        seen = torch.cat([steps[:, -1], last.transpose(0, 1).flatten(1)], 1)
        return self.head(torch.relu(self.wide(seen)))


@pytest.mark.parametrize(
    "layer",
    [
        nn.GRU(12, 10, batch_first=True),
        nn.RNN(12, 10, batch_first=True, bidirectional=True),
        nn.LSTM(12, 10, batch_first=True, num_layers=2, proj_size=4, bidirectional=True),
    ],
)
def test_what_a_recurrent_layer_reads_stays_whole_and_the_rest_is_pruned(layer):
    network = Recurrent(layer)
    plan, other = pruned(classifier_of(network, (3, 10, 10)), torch.randn(4, 3, 10, 10), ratio=0.2)
    assert plan["whole"] == ["second"]
    assert set(plan["kept"]) == {"first", "wide"}
    assert other.network.steps.weight_ih_l0.shape == layer.weight_ih_l0.shape
    assert other.network.first.out_channels < 16


class Gated(nn.Module):
    """Channels in two equal parts of which one gates the other, and a normalization in groups."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.head = nn.Conv2d(3, 64, 3), nn.GroupNorm(8, 32), nn.Linear(32, 3)

    def forward(self, x):
        a, b = self.first(x).chunk(2, 1)
        return self.head(self.norm(a * torch.sigmoid(b)).mean((2, 3)))


class Joined(nn.Module):
    """Two layers side by side, read by a convolution in four groups."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
        self.grouped, self.head = nn.Conv2d(64, 48, 3, groups=4), nn.Linear(48, 3)

    def forward(self, x):
        y = torch.relu(self.first(x))
        y = torch.cat([y, torch.relu(self.second(y))], 1)
        return self.head(torch.relu(self.grouped(y)).mean((2, 3)))


def test_layers_whose_groups_would_lose_different_channels_stay_whole():
    plan, other = pruned(classifier_of(Joined(), (3, 8, 8)), torch.randn(4, 3, 8, 8), ratio=0.2)
    assert sorted(plan["whole"]) == ["first", "second"]
    assert other.network.grouped.out_channels < 48
    assert other.network.grouped.in_channels == 64


def test_a_gate_and_groups_are_named_without_blaming_a_view():
    with pytest.raises(ModelError, match="first must keep all channels") as caught:
        Prune(0.5).check(classifier_of(Gated(), (3, 8, 8)))
    assert "equal parts" in str(caught.value)
    assert caught.value.fix.startswith("compress by low_rank or int8"), "no view is to blame"


def test_what_cannot_be_pruned_says_so():
    for network, features, said in [
        (nn.Conv2d(1, 2, 1), (1, 2, 2), "shape"),
        (nn.Linear(3, 2), (3,), "one layer"),
        (nn.Linear(4, 2), (3,), "RuntimeError"),
        (Mute(), (3,), "cannot be pruned"),
    ]:
        with pytest.raises(ModelError, match=said):
            Prune(0.5).check(classifier_of(network, features))


def test_a_plan_of_another_network_is_refused():
    classifier, x = built_in("mlp")
    plan, small = pruned(classifier, x)
    with pytest.raises(ModelError, match="cuts"):
        Prune(0.5).apply(small, plan)
    with pytest.raises(ModelError, match="does not have"):
        Prune(0.5).apply(built_in("vit-small")[0], plan)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_network_that_lacked_channels_for_a_while_is_whole_again(name):
    classifier, x = built_in(name)
    network = classifier.network.eval()
    units, _ = find_units(network, x[:1])
    removed = removal(units, [torch.tensor([0])] * len(units))
    parameters, logits, costs = list(network.parameters()), network(x[:2]), macs(network, x[:1])
    copied = copy.deepcopy(network)
    cut(copied, removed)
    with without(network, removed):
        assert macs(network, x[:1]) == macs(copied, x[:1]) < costs
        torch.testing.assert_close(network(x[:2]), copied(x[:2]), rtol=0, atol=0)
    # An unknown layer stands behind those that are cut already.
    with pytest.raises(ModelError, match="does not have"), without(network, {**removed, "nowhere": {"out": [0]}}):
        pass
    assert all(one is other for one, other in zip(parameters, network.parameters(), strict=True))
    assert macs(network, x[:1]) == costs
    torch.testing.assert_close(network(x[:2]), logits, rtol=0, atol=0)
