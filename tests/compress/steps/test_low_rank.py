"""Layers as products of thinner ones: what is recovered exactly, what is kept whole, and who may pay for it."""

import copy
import json

import pytest
import torch
from torch import nn

from edgefair.compress.steps.factors import Split, Splits
from edgefair.compress.steps.layers import used_layers
from edgefair.compress.steps.low_rank import LowRank
from edgefair.errors import ModelError, UsageError
from edgefair.training.networks import open_network
from tests.compress.tiny_networks import any_rows, classifier_of, context_of, macs_of, rows_of


def compressed(classifier, step, rows):
    plan = json.loads(json.dumps(step.plan(classifier, context_of(rows))))
    step.apply(classifier, plan)
    return plan


def close(a, b):
    return bool((a - b).abs().max() <= 1e-4 * b.abs().max())


def test_a_matrix_of_rank_r_becomes_two_of_rank_r_and_the_same_function():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(30, 40), nn.ReLU(), nn.Linear(40, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.randn(40, 3) @ torch.randn(3, 30))
    classifier, x = classifier_of(network, 30), torch.randn(16, 30)
    expected = network(x).detach()
    plan = compressed(classifier, LowRank("energy", energy=1.0), any_rows(30))
    assert plan["layers"]["0"]["ranks"] == [3]
    assert [type(layer) for layer in network[0]] == [nn.Linear, nn.Linear]
    assert plan["macs"] == [30 * 40 + 80, 3 * 70 + 80]
    assert close(network(x), expected)


def test_a_separable_kernel_becomes_a_column_and_a_row():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 6, (5, 3), padding=(2, 1)), nn.Flatten(), nn.Linear(6 * 64, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.einsum("ik,ol->oikl", torch.randn(4, 5), torch.randn(6, 3)))
    classifier, x = classifier_of(network, 4, 8, 8), torch.randn(3, 4, 8, 8)
    expected = network(x).detach()
    plan = compressed(classifier, LowRank("energy", energy=1.0), any_rows(4, 8, 8))
    assert (plan["layers"]["0"]["kind"], plan["layers"]["0"]["ranks"]) == ("pair", [1])
    assert [layer.kernel_size for layer in network[0]] == [(5, 1), (1, 3)]
    assert close(network(x), expected)


def test_channels_that_repeat_become_a_tucker_product():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.Flatten(), nn.Linear(32 * 64, 2))
    with torch.no_grad():
        network[0].weight.copy_(
            torch.einsum("or,rskl,is->oikl", torch.randn(32, 4), torch.randn(4, 5, 3, 3), torch.randn(32, 5))
        )
    classifier, x = classifier_of(network, 32, 8, 8), torch.randn(3, 32, 8, 8)
    expected = network(x).detach()
    plan = compressed(classifier, LowRank("energy", energy=1.0), any_rows(32, 8, 8))
    assert (plan["layers"]["0"]["kind"], plan["layers"]["0"]["ranks"]) == ("tucker", [5, 4])
    assert close(network(x), expected)


CONVOLUTIONS = {
    "plain": {"kernel_size": 3},
    "strides and padding": {"kernel_size": (3, 5), "stride": (2, 3), "padding": (1, 2)},
    "dilation": {"kernel_size": 3, "dilation": (2, 1), "padding": (2, 1)},
    "same": {"kernel_size": (4, 3), "padding": "same"},
    "reflected": {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    "1 x 1 with a stride": {"kernel_size": 1, "stride": 2, "padding": 1},
    "a column": {"kernel_size": (3, 1), "stride": (1, 2), "padding": (1, 0)},
    "without bias": {"kernel_size": 3, "bias": False},
}


@pytest.mark.parametrize("options", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_convolution_split_at_full_rank_is_the_same_function(options):
    torch.manual_seed(0)
    convolution = nn.Conv2d(5, 7, **options)
    x = torch.randn(2, 5, 11, 13)
    splits = Splits(used_layers(classifier_of(nn.Sequential(convolution, nn.Flatten()), 5, 11, 13))[0])
    taps = convolution.weight[0, 0].numel()
    kinds = {"pair": (splits.full,), "tucker": (5, min(7, 5 * taps))}
    for kind in kinds if taps > 1 else ["pair"]:
        assert close(splits.build(Split(kind, kinds[kind], 1.0, 0))(x), convolution(x)), kind


@pytest.mark.parametrize("rank", [0.25, "energy"])
@pytest.mark.parametrize(
    ("name", "features", "options"),
    [
        ("mlp", (40,), {"hidden": [64, 32]}),
        ("resnet-18", (3, 32, 32), {"width": 0.125}),
        ("mobilenet-v2", (3, 32, 32), {"width": 0.35}),
        ("vit-small", (3, 32, 32), {"width": 32, "depth": 1, "heads": 2}),
    ],
)
def test_real_networks_need_as_few_operations_as_the_plan_says(name, features, options, rank):
    torch.manual_seed(0)
    network = open_network(name, features=features, classes=3, options=options)
    classifier, x = classifier_of(network, *features), torch.randn(2, *features)
    before = macs_of(network, x)
    plan = compressed(classifier, LowRank(rank, energy=0.4), any_rows(*features, rows=4))
    assert plan["macs"] == [before, macs_of(network, x)]
    assert plan["macs"][1] < before
    assert plan["parameters"][1] == sum(item.numel() for item in network.parameters())
    assert set(plan["skipped"].values()) >= {"the last linear layer"}
    logits = network.train()(x)
    assert logits.shape == (2, 3)
    logits.sum().backward()


def test_a_share_keeps_at_least_the_energy_of_a_pair_of_that_rank():
    torch.manual_seed(0)
    classifier = classifier_of(nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 2)), 20)
    sizes = torch.linalg.svdvals(classifier.network[0].weight.detach().double()).square()
    plan = LowRank(0.4).plan(classifier, context_of(any_rows(20)))
    assert plan["layers"]["0"]["ranks"] == [8]
    assert plan["layers"]["0"]["energy"] == pytest.approx(float(sizes[:8].sum() / sizes.sum()))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.into, self.again, self.free = nn.Linear(20, 20), nn.Linear(20, 20), nn.Linear(20, 20)
        self.again.weight = self.into.weight
        self.grouped = nn.Conv1d(1, 1, 1)
        self.depthwise = nn.Conv2d(20, 20, 1, groups=20)
        self.last = nn.Linear(20, 2)

    def forward(self, x):
        x = self.free(self.again(self.into(x)).relu()).relu()
        return self.last(self.depthwise(x[:, :, None, None]).flatten(1))


def test_shared_weights_depthwise_convolutions_and_the_last_layer_stay_with_their_reasons():
    classifier = classifier_of(Tied(), 20)
    plan = LowRank(0.25).plan(classifier, context_of(any_rows(20)))
    assert set(plan["layers"]) == {"free"}
    assert plan["skipped"] == {
        "into": "shares its weight with another module",
        "again": "shares its weight with another module",
        "depthwise": "a grouped or depthwise convolution",
        "grouped": "a Conv1d, which is not split",
        "last": "the last linear layer",
    }


def test_a_transposed_convolution_is_named_among_what_stays():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1), nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Flatten(), nn.Linear(4 * 64, 2)
    )
    plan = LowRank(0.25).plan(classifier_of(network, 8, 4, 4), context_of(any_rows(8, 4, 4)))
    assert set(plan["layers"]) == {"0"}
    assert plan["skipped"] == {"1": "a ConvTranspose2d, which is not split", "3": "the last linear layer"}


def test_a_layer_that_would_not_get_cheaper_stays_and_an_error_where_none_does():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.eye(20))
        network[2].weight.copy_(torch.randn(20, 2) @ torch.randn(2, 20))
    classifier = classifier_of(network, 20)
    plan = LowRank("energy", energy=0.9).plan(classifier, context_of(any_rows(20)))
    assert set(plan["layers"]) == {"2"}
    assert plan["skipped"]["0"] == "needs 400 multiply-accumulates, and 720 as a pair of rank 18"
    LowRank("energy", energy=0.9).check_weights(classifier)
    with torch.no_grad():
        network[2].weight.copy_(torch.eye(20))
    with pytest.raises(ModelError, match="factoring makes no layer cheaper"):
        LowRank("energy", energy=0.9).plan(classifier, context_of(any_rows(20)))
    with pytest.raises(ModelError, match="0: needs 400 multiply-accumulates, and 720 as a pair of rank 18; 2: needs"):
        LowRank("energy", energy=0.9).check_weights(classifier)
    # What the groups lose is not told by the weights.
    LowRank("worst-group").check_weights(classifier)


def test_a_network_without_a_layer_to_split_is_refused_at_once():
    with pytest.raises(ModelError, match="no layer that can be split"):
        LowRank(0.5).check(classifier_of(nn.Sequential(nn.Linear(4, 2)), 4))
    with pytest.raises(ModelError, match="cannot run"):
        LowRank(0.5).check(classifier_of(nn.Sequential(nn.Linear(5, 2)), 4))


def small_direction_of_one_group():
    """Group 0 is told apart by a large weight, group 1 by a small one; eight weights in between are of no use."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 10, generator=generator)
    group = torch.arange(400) % 2
    label = (torch.where(group == 0, x[:, 0], x[:, 9]) > 0).long()
    x[:, 0] *= group == 0
    x[:, 9] *= group == 1
    first, last = nn.Linear(10, 10), nn.Linear(10, 2)
    with torch.no_grad():
        sizes = torch.tensor([4.0, *[2.0] * 8, 0.5])
        first.weight.copy_(torch.diag(sizes))
        first.bias.zero_()
        last.weight.zero_()
        last.weight[1, 0], last.weight[1, 9] = 1.0, 8.0
        last.bias.zero_()
    return classifier_of(nn.Sequential(first, last), 10), rows_of(x, label, group)


def group_losses(classifier, rows):
    logits = classifier(next(rows.batches(torch.arange(len(rows)), len(rows)))[0])
    each = nn.functional.cross_entropy(logits, rows.cells.label, reduction="none")
    return [each[rows.cells.group == group].mean().item() for group in (0, 1)]


def test_energy_gives_up_the_small_direction_that_one_group_lives_on_and_worst_group_refuses():
    classifier, rows = small_direction_of_one_group()
    before = group_losses(classifier, rows)
    blind = copy.deepcopy(classifier)
    compressed(blind, LowRank("energy", energy=0.5), rows)
    assert group_losses(blind, rows)[0] == pytest.approx(before[0], abs=1e-4)
    assert group_losses(blind, rows)[1] > before[1] + 0.3
    with pytest.raises(ModelError, match="a group's loss grows too much"):
        LowRank("worst-group", tolerance=0.05).plan(classifier, context_of(rows))


def test_worst_group_lowers_the_rank_as_far_as_every_group_keeps_its_loss():
    classifier, rows = small_direction_of_one_group()
    with torch.no_grad():
        classifier.network[0].weight[9, 9], classifier.network[1].weight[1, 9] = 3.0, 4.0 / 3.0
    before = group_losses(classifier, rows)
    plan = compressed(classifier, LowRank("worst-group", tolerance=0.05, sample_rows=4000), rows)
    assert plan["layers"]["0"]["ranks"] == [2]
    after = group_losses(classifier, rows)
    assert all(now <= was + 0.05 for was, now in zip(before, after, strict=True))
    assert plan["loss"]["g1"] == pytest.approx([before[1], after[1]], abs=1e-5)


def test_a_plan_carried_out_again_gives_the_structure_and_the_function_of_the_first_time():
    torch.manual_seed(0)
    network = open_network("resnet-18", features=(3, 16, 16), classes=2, options={"width": 0.125})
    first = classifier_of(network, 3, 16, 16)
    second = copy.deepcopy(first)
    step = LowRank(0.3)
    plan = compressed(first, step, any_rows(3, 16, 16, rows=8))
    step.apply(second, plan)
    states = [item.state_dict() for item in (first, second)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_planning_leaves_the_network_as_it_was():
    classifier, rows = small_direction_of_one_group()
    with torch.no_grad():
        classifier.network[0].weight[9, 9], classifier.network[1].weight[1, 9] = 3.0, 4.0 / 3.0
    before = copy.deepcopy(classifier.train())
    LowRank("worst-group", tolerance=0.05).plan(classifier, context_of(rows))
    assert classifier.training
    assert str(classifier) == str(before)
    for name, value in before.state_dict().items():
        assert torch.equal(value, classifier.state_dict()[name])


@pytest.mark.parametrize("rank", [0.0, 1.0, -0.5, 2.0, 1, "most"])
def test_a_rank_out_of_range_is_refused(rank):
    with pytest.raises(UsageError, match="low rank is"):
        LowRank(rank)


def test_other_options_out_of_range_are_refused():
    with pytest.raises(UsageError, match="energy is 0"):
        LowRank("energy", energy=0)
    with pytest.raises(UsageError, match="tolerance and sample_rows"):
        LowRank("worst-group", tolerance=0)
