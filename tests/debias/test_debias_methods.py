import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.debias import METHODS, Cells, open_method
from edgefair.debias.eo_penalty import EoPenalty
from edgefair.debias.reweigh import Reweigh
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
        Reweigh().row_weights(cells([0, 0, 1], [0, 1, 0]))


def test_eo_penalty_raises_the_price_of_the_label_whose_groups_differ():
    method = EoPenalty(eps=0.01, dual_lr=0.1)
    method.row_weights(cells([0, 1], [0, 1]))
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


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 12))
def test_eo_penalty_is_finite_whatever_cells_a_batch_lacks(seed, rows):
    generator = torch.Generator().manual_seed(seed)
    method = EoPenalty()
    method.row_weights(cells([0], [0], groups=3, classes=10))
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
    assert {type(open_method(name, {})).__name__ for name in METHODS} == {"Reweigh", "EoPenalty"}


def test_an_unknown_method_or_option_names_the_known_ones():
    with pytest.raises(UsageError, match="did you mean 'reweigh'"):
        open_method("reweight", {})
    with pytest.raises(UsageError, match="did you mean 'eps'"):
        open_method("eo-penalty", {"epss": 0.1})
