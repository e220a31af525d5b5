"""Soft rates of eo-penalty are those of fairret, where fairret has any: two classes, every cell in the batch."""

import pytest
import torch
from fairret.statistic import FalsePositiveRate, TruePositiveRate
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.debias import Cells
from edgefair.debias.eo_penalty import EoPenalty


def gaps_of_fairret(logits, label, group, groups):
    positive = logits.softmax(dim=1)[:, 1:]
    one_hot = torch.nn.functional.one_hot(group, groups).to(logits.dtype)
    y = label[:, None].to(logits.dtype)
    rates = [statistic(positive, one_hot, y) for statistic in (FalsePositiveRate(), TruePositiveRate())]
    return [rate.max() - rate.min() for rate in rates]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(2, 5), st.integers(0, 60))
def test_value_and_gradient_are_those_of_the_differences_of_fairrets_rates(seed, groups, more):
    generator = torch.Generator().manual_seed(seed)
    cells = torch.cat([torch.arange(2 * groups), torch.randint(2 * groups, (more,), generator=generator)])
    label, group = cells % 2, cells // 2
    logits = 2 * torch.randn(len(cells), 2, generator=generator)
    method = EoPenalty(eps=0.0, dual_lr=0.5)
    method.start(Cells(group, label, tuple(map(str, range(groups))), ("no", "yes")))
    method.penalty(logits, label, group)
    method.end_step()
    prices = method.state()["lambda"].clone()
    gaps = gaps_of_fairret(logits, label, group, groups)
    for y, gap in enumerate(gaps):
        assert prices[y].tolist() == pytest.approx([0.5 * gap.item()] * 2, abs=1e-5)

    own, other = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    penalty = method.penalty(own, label, group)
    # Both classes of a label have the same difference, so it is counted twice.
    expected = sum(2 * prices[y, 0] * gap for y, gap in enumerate(gaps_of_fairret(other, label, group, groups)))
    assert penalty.item() == pytest.approx(expected.item(), abs=1e-5)
    penalty.backward()
    expected.backward()
    assert torch.allclose(own.grad, other.grad, atol=1e-5)
