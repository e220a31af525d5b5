import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.debias import METHODS, Cells, open_method, open_methods, open_post_method
from edgefair.debias.adversarial import Adversarial
from edgefair.debias.augment import Augment
from edgefair.debias.balance import Balance
from edgefair.debias.eo_penalty import EoPenalty
from edgefair.debias.group_dro import GroupDro
from edgefair.debias.jtt import Jtt
from edgefair.debias.reweigh import Reweigh
from edgefair.debias.weighted_loss import WeightedLoss
from edgefair.errors import DataError, UsageError


def cells(group, label, groups=2, classes=2):
    return Cells(
        torch.tensor(group),
        torch.tensor(label),
        tuple(f"g{index}" for index in range(groups)),
        tuple(f"y{index}" for index in range(classes)),
    )


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=200))
def test_reweigh_gives_every_cell_the_same_total_weight(extra):
    rows = [(group, label) for group in range(3) for label in range(2)] + extra
    sample = cells([group for group, _ in rows], [label for _, label in rows], groups=3)
    weights = Reweigh().row_weights(sample)
    totals = torch.zeros(6).index_add(0, sample.group * 2 + sample.label, weights)
    assert torch.allclose(totals, torch.full((6,), len(rows) / 6), rtol=1e-4)


def test_reweigh_to_parity_makes_label_and_group_independent():
    sample = cells([0] * 90 + [1] * 10, [1] * 60 + [0] * 30 + [1] * 2 + [0] * 8)
    weights = Reweigh(target="parity").row_weights(sample)
    totals = torch.zeros(4).index_add(0, sample.group * 2 + sample.label, weights).reshape(2, 2)
    share_positive = totals[:, 1] / totals.sum(1)
    assert torch.allclose(share_positive, torch.full((2,), 0.62), atol=1e-5)
    assert torch.allclose(totals.sum(1), torch.tensor([90.0, 10.0]), atol=1e-4)


def test_reweigh_says_which_cell_is_empty():
    with pytest.raises(DataError, match="group 'g1' and label 'y1'"):
        Reweigh().start(cells([0, 0, 1], [0, 1, 0]))


def test_eo_penalty_raises_the_price_of_the_label_whose_groups_differ():
    method = EoPenalty(eps=0.01, dual_lr=0.1)
    method.start(cells([0, 1], [0, 1]))
    group = torch.tensor([0, 1, 0, 1])
    label = torch.tensor([0, 0, 1, 1])
    logits = torch.tensor([[2.0, -2.0], [2.0, -2.0], [2.0, -2.0], [-2.0, 2.0]], requires_grad=True)
    assert method.penalty(logits, label, group).item() == 0.0
    method.end_step()
    price = method.state()["lambda"]
    assert torch.all(price[0] == 0)
    assert torch.all(price[1] > 0)
    loss = method.penalty(logits, label, group)
    assert loss.item() > 0
    loss.backward()
    assert logits.grad[2, 1] < 0 < logits.grad[3, 1], "the group with the lower rate is raised, the other lowered"


def test_eo_penalty_leaves_a_label_alone_that_it_was_not_told_to_constrain():
    group, label = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    logits = torch.tensor([[2.0, -2.0], [-2.0, 2.0], [2.0, -2.0], [-2.0, 2.0]])
    method = EoPenalty(labels=["y1"])
    method.start(cells([0, 1], [0, 1]))
    method.penalty(logits, label, group)
    method.end_step()
    price = method.state()["lambda"]
    assert torch.all(price[0] == 0)
    assert torch.all(price[1] > 0)
    with pytest.raises(UsageError, match="'y2', which is no class"):
        EoPenalty(labels=["y2"]).start(cells([0, 1], [0, 1]))
    with pytest.raises(UsageError, match="a list of classes"):
        EoPenalty(labels="y1")


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 12))
def test_eo_penalty_is_finite_whatever_cells_a_batch_lacks(seed, rows):
    generator = torch.Generator().manual_seed(seed)
    method = EoPenalty()
    method.start(cells([0], [0], groups=3, classes=10))
    for _ in range(4):
        logits = torch.randn(rows, 10, generator=generator, requires_grad=True)
        label = torch.randint(10, (rows,), generator=generator)
        group = torch.randint(3, (rows,), generator=generator)
        loss = method.penalty(logits, label, group)
        loss.backward()
        method.end_step()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()
        assert torch.isfinite(method.state()["lambda"]).all()


def test_every_listed_method_opens():
    assert all(open_method(name, {}) is not None for name in METHODS)


def test_an_unknown_method_or_option_names_the_known_ones():
    with pytest.raises(UsageError, match="did you mean 'reweigh'"):
        open_method("reweight", {})
    with pytest.raises(UsageError, match="did you mean 'eps'"):
        open_method("eo-penalty", {"epss": 0.1})


def test_methods_that_correct_the_same_thing_twice_are_refused():
    assert len(open_methods([("reweigh", {}), ("eo-penalty", {}), ("adversarial", {})])) == 3
    with pytest.raises(UsageError, match="'reweigh' and 'balance' both reweight"):
        open_methods([("reweigh", {}), ("balance", {})])
    with pytest.raises(UsageError, match="listed twice"):
        open_methods([("eo-penalty", {}), ("eo-penalty", {})])


def test_a_method_of_another_stage_says_where_it_belongs():
    with pytest.raises(UsageError, match=r"list it in debias\.post"):
        open_method("threshold", {})
    with pytest.raises(UsageError, match=r"list it in debias\.train or debias\.finetune"):
        open_post_method("reweigh", {})


@pytest.mark.parametrize("name", ["reweigh", "balance", "group-dro"])
def test_methods_that_must_have_every_cell_say_which_is_empty(name):
    with pytest.raises(DataError, match="group 'g1' and label 'y1'"):
        open_method(name, {}).start(cells([0, 0, 1], [0, 1, 0]))


def test_the_adversary_needs_two_groups():
    with pytest.raises(DataError, match="every training row has group 'g0'"):
        Adversarial().start(cells([0, 0], [0, 1], groups=1))


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("adversarial", {"form": "sideways"}),
        ("adversarial", {"alpha": -1}),
        ("augment", {"share": 2}),
        ("weighted-loss", {"cap": 0.5}),
        ("weighted-loss", {"power": 0}),
        ("group-dro", {"eta": -1}),
        ("jtt", {"epochs": 0}),
        ("jtt", {"upweight": 0.5}),
    ],
)
def test_an_option_out_of_range_is_refused(name, option):
    with pytest.raises(UsageError, match=next(iter(option))):
        open_method(name, option)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=200))
def test_balance_draws_every_cell_alike_and_augment_raises_cells_to_its_share(extra):
    rows = [(group, label) for group in range(3) for label in range(2)] + extra
    sample = cells([group for group, _ in rows], [label for _, label in rows], groups=3)

    def mass(weights):
        totals = torch.zeros(6).index_add(0, sample.index(), weights)
        return totals / totals.sum()

    assert torch.allclose(mass(Balance().sampling_weights(sample)), torch.full((6,), 1 / 6), rtol=1e-4)
    natural = sample.counts().flatten() / len(rows)
    assert torch.allclose(mass(Augment(share=0).sampling_weights(sample)), natural, atol=1e-5)
    raised = mass(Augment(share=1).sampling_weights(sample))
    assert torch.all(raised.amin() >= natural.amin() - 1e-6)


def test_augment_mixes_rows_of_one_label_and_two_groups_only():
    torch.manual_seed(0)
    group, label = torch.tensor([0, 1, 0, 0]), torch.tensor([0, 0, 1, 1])
    features = torch.eye(4)
    mixed = Augment(mixup=1.0).augment(features, label, group)
    assert torch.equal(mixed[2:], features[2:]), "label 1 has one group only"
    assert mixed[0, 0] >= 0.5
    assert mixed[0, 1] == pytest.approx(1 - float(mixed[0, 0]))
    assert mixed[0, 2:].sum() == 0 == mixed[1, 2:].sum()


def test_augment_changes_pictures_a_little_and_refuses_tokens():
    torch.manual_seed(0)
    pictures = torch.zeros(64, 1, 16, 16)
    pictures[:, :, 6:10, 2:6] = 1.0
    label = group = torch.zeros(64, dtype=torch.int64)
    same = Augment(strength=0, flip=False).augment(pictures, label, group)
    assert torch.allclose(same, pictures, atol=1e-5)
    flipped = Augment(strength=0).augment(pictures, label, group)
    mirrored = torch.isclose(flipped, pictures.flip(3), atol=1e-5).flatten(1).all(1)
    assert 16 <= int(mirrored.sum()) <= 48
    assert torch.isclose(flipped, pictures, atol=1e-5).flatten(1).all(1).logical_xor(mirrored).all()
    changed = Augment(strength=1).augment(pictures, label, group)
    assert changed.shape == pictures.shape
    assert torch.isfinite(changed).all()
    with pytest.raises(DataError, match="reads tokens"):
        Augment().augment(torch.ones(2, 8, dtype=torch.int64), label[:2], group[:2])


def test_weighted_loss_caps_a_cell_of_one_row_and_ignores_an_empty_one():
    sample = cells([0] * 99 + [1], [0] * 50 + [1] * 49 + [0])
    method = WeightedLoss(cap=5)
    method.start(sample)
    weights = method.batch_weights(torch.ones(100), sample.label, sample.group)
    assert float(weights.mean()) == pytest.approx(1, abs=1e-5)
    assert weights[-1] / weights[0] == pytest.approx(5 / (33.333 / 50), rel=0.02), "uncapped it were 50 times as much"


def test_group_dro_turns_to_the_cell_with_the_largest_loss():
    sample = cells([0, 0, 1, 1], [0, 1, 0, 1])
    method = GroupDro(eta=1.0)
    method.start(sample)
    losses = torch.tensor([0.1, 0.1, 0.1, 2.0])
    first = method.batch_weights(losses, sample.label, sample.group)
    q = method.state()["q"]
    assert q.sum() == pytest.approx(1)
    expected = torch.exp(losses) / torch.exp(losses).sum()
    assert torch.allclose(q, expected, atol=1e-6), "algorithm 1 of Sagawa et al."
    assert torch.allclose(first / 4, q, atol=1e-6), "one row per cell: the loss is sum q_c L_c"
    method.batch_weights(losses[:1], sample.label[:1], sample.group[:1])
    assert torch.isfinite(method.state()["q"]).all()


def test_jtt_upweights_what_was_wrong():
    method = Jtt(upweight=5)
    sample = cells([0, 0, 1, 1], [0, 1, 0, 1])
    assert torch.equal(method.row_weights(sample), torch.ones(4))
    method.learn_errors(torch.tensor([True, False, False, False]))
    weights = method.row_weights(sample)
    assert weights[0] / weights[1] == pytest.approx(5)
    assert weights.mean() == pytest.approx(1)
    assert method.identify_epochs == 0


def test_the_projection_removes_what_helps_the_adversary():
    method = Adversarial(alpha=0.0)
    method.start(cells([0, 1], [0, 1]))
    g, h = [torch.tensor([1.0, 2.0]), torch.tensor([3.0])], [torch.tensor([0.5, 0.0]), torch.tensor([2.0])]
    method.edit_gradients(g, h)
    assert float((g[0] * h[0]).sum() + (g[1] * h[1]).sum()) == pytest.approx(0, abs=1e-6)
    silent = [torch.zeros(2), torch.zeros(1)]
    before = [item.clone() for item in g]
    method.edit_gradients(g, silent)
    assert all(torch.equal(one, other) for one, other in zip(g, before, strict=True)), "no gradient, no projection"
    reversal = Adversarial(alpha=2.0, form="reversal")
    reversal.start(cells([0, 1], [0, 1]))
    reversal._done = 1000
    g = [torch.tensor([1.0])]
    reversal.edit_gradients(g, [torch.tensor([0.25])])
    assert g[0].item() == pytest.approx(0.5)


def test_the_adversary_learns_a_dependence_within_a_label_but_not_one_that_the_label_explains():
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(2, (2000,), generator=generator)
    group = torch.randint(2, (2000,), generator=generator)
    fair = torch.stack([1.0 - label, label.float()], dim=1) * 4
    leaking = fair + torch.stack([-1.0 * group, 1.0 * group], dim=1) * 2
    losses = {}
    for name, logits in (("fair", fair), ("leaking", leaking)):
        method = Adversarial()
        method.start(cells(group.tolist(), label.tolist()))
        for _ in range(200):
            found = method.adversary_loss(logits, label, group)
        losses[name] = float(found.detach())
    assert losses["fair"] == pytest.approx(0.693, abs=0.02)
    assert losses["leaking"] < 0.5
