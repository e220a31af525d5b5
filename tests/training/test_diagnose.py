import copy

import numpy as np
import pytest
import torch
from torch import nn

from edgefair.errors import ModelError
from edgefair.training.diagnose import (
    confidently_other,
    margins,
    measure_sensitivity,
    top_eigenvalue,
    weight_norm,
)

ROWS, FEATURES = 60, 5


def rows_of(classes, rows=ROWS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, FEATURES, generator=generator)
    return x, torch.randint(classes, (rows,), generator=generator)


def batches(x, y, weight=None, size=ROWS):
    weight = torch.full((len(y),), 1 / len(y)) if weight is None else weight
    return lambda: [((a,), b, c) for a, b, c in zip(x.split(size), y.split(size), weight.split(size), strict=True)]


def logistic(classes, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(FEATURES, classes)


def closed_form(model, x, y, weight=None):
    """Loss, gradient norm and Hessian of softmax regression with respect to [W b]: float64."""
    x1 = np.hstack([x.numpy().astype(np.float64), np.ones((len(x), 1))])
    theta = np.hstack([model.weight.detach().numpy(), model.bias.detach().numpy()[:, None]]).astype(np.float64)
    weight = np.full(len(x), 1 / len(x)) if weight is None else weight.numpy().astype(np.float64)
    z = x1 @ theta.T
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    loss = -(weight * np.log(p[np.arange(len(y)), y.numpy()])).sum()
    gradient = ((p - np.eye(len(theta))[y.numpy()]) * weight[:, None]).T @ x1
    hessian = sum(
        w * np.kron(np.diag(q) - np.outer(q, q), np.outer(row, row)) for w, q, row in zip(weight, p, x1, strict=True)
    )
    return loss, np.linalg.norm(gradient), hessian


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_gradient_and_curvature_of_softmax_regression_are_those_of_the_closed_form(classes):
    model, (x, y) = logistic(classes), rows_of(classes)
    found = measure_sensitivity(model, batches(x, y, size=7), iterations=500, tolerance=1e-7)
    loss, gradient, hessian = closed_form(model, x, y)
    assert found.loss == pytest.approx(loss, rel=1e-5)
    assert found.gradient_norm == pytest.approx(gradient, rel=1e-4)
    assert found.top_eigenvalue == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-3)
    assert found.error_rate == pytest.approx(float((model(x).argmax(1) != y).float().mean()), abs=1e-6)
    assert found.why_none is None


class Pictures(nn.Module):
    """Convolutions of every kind, small enough for a whole Hessian; batch statistics that are not 0 and 1."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.SiLU(),
            nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
            nn.BatchNorm2d(6),
            nn.SiLU(),
            nn.Conv2d(6, 4, 1),
            nn.Tanh(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        )
        for item in self.modules():
            if isinstance(item, nn.BatchNorm2d):
                nn.init.normal_(item.running_mean)
                nn.init.uniform_(item.running_var, 0.5, 2.0)

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize("rows", [1, 20])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradient_and_curvature_of_convolutions_are_those_of_float64(rows, memory_format):
    model = Pictures().eval()
    x = torch.randn(rows, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    y = torch.arange(rows) % 3
    pictures = x.contiguous(memory_format=memory_format)
    found = measure_sensitivity(model, batches(pictures, y), iterations=300, tolerance=1e-6)
    exact = copy.deepcopy(model).double()
    names = [name for name, _ in exact.named_parameters()]
    sizes = [value.shape for value in exact.parameters()]
    start = nn.utils.parameters_to_vector(exact.parameters()).detach().requires_grad_()

    def loss(vector):
        parts = vector.split([size.numel() for size in sizes])
        values = {name: part.view(size) for name, part, size in zip(names, parts, sizes, strict=True)}
        return nn.functional.cross_entropy(torch.func.functional_call(exact, values, (x.double(),)), y)

    (gradient,) = torch.autograd.grad(loss(start), start)
    hessian = torch.autograd.functional.hessian(loss, start)
    assert found.gradient_norm == pytest.approx(float(gradient.norm()), rel=1e-4)
    assert found.top_eigenvalue == pytest.approx(float(torch.linalg.eigvalsh(hessian)[-1]), rel=1e-3)


def test_unequal_weights_of_rows_weigh_every_number():
    model, (x, y) = logistic(3), rows_of(3)
    weight = torch.rand(ROWS, generator=torch.Generator().manual_seed(1))
    weight /= weight.sum()
    found = measure_sensitivity(model, batches(x, y, weight, size=11), iterations=500, tolerance=1e-7)
    loss, gradient, hessian = closed_form(model, x, y, weight)
    assert found.loss == pytest.approx(loss, rel=1e-5)
    assert found.gradient_norm == pytest.approx(gradient, rel=1e-4)
    assert found.top_eigenvalue == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-3)
    assert found.margin == pytest.approx(float((margins(model(x), y) @ weight).detach()), rel=1e-4)


def test_the_order_and_the_batches_of_the_rows_change_nothing():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    x, y = rows_of(3)
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(3))
    one = measure_sensitivity(model, batches(x, y), iterations=200)
    other = measure_sensitivity(model, batches(x[order], y[order], size=13), iterations=200)
    for name in ("loss", "error_rate", "margin", "gradient_norm", "top_eigenvalue"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-4), name


def test_no_random_step_of_that_length_raises_the_loss_by_more_than_the_bound():
    model, (x, y) = logistic(3), rows_of(3)
    found = measure_sensitivity(model, batches(x, y), iterations=500, tolerance=1e-7)
    before = nn.utils.parameters_to_vector(model.parameters()).detach()
    distance = 0.02 * weight_norm(model)
    growth = []
    for seed in range(200):
        step = torch.randn(len(before), generator=torch.Generator().manual_seed(seed))
        nn.utils.vector_to_parameters(before + distance * step / step.norm(), model.parameters())
        growth.append(float(nn.functional.cross_entropy(model(x), y).detach()) - found.loss)
    assert 0 < max(growth) <= found.loss_bound(distance) * 1.001


def test_margins_are_the_label_against_the_best_other():
    logits = torch.tensor([[3.0, 1.0, 2.5], [0.0, 4.0, -1.0], [1.0, 1.0, 0.0]])
    assert margins(logits, torch.tensor([0, 2, 1])).tolist() == [0.5, -5.0, 0.0]


def test_errors_are_those_of_the_threshold():
    model = nn.Linear(1, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0], [1.0]]))
        model.bias.zero_()
    x, y = torch.tensor([[-2.0], [-0.5], [1.0]]), torch.tensor([0, 1, 1])
    assert measure_sensitivity(model, batches(x, y)).error_rate == pytest.approx(1 / 3)
    assert measure_sensitivity(model, batches(x, y), threshold=0.3).error_rate == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(
    ("diagonal", "expected"),
    [([4.0, 1.0, -2.0], 4.0), ([-5.0, 2.0, 1.0], 2.0), ([-3.0, -1.0, -0.5], -0.5), ([0.0, 0.0, 0.0], 0.0)],
)
def test_the_largest_eigenvalue_is_found_where_another_one_has_a_larger_magnitude(diagonal, expected):
    matrix = torch.diag(torch.tensor(diagonal))
    found = top_eigenvalue(lambda v: matrix @ v, 3, iterations=300, tolerance=1e-7)
    assert found == pytest.approx(expected, abs=1e-4)


def test_an_eigenvalue_that_did_not_converge_is_absent_and_says_so():
    model, (x, y) = logistic(3), rows_of(3)
    found = measure_sensitivity(model, batches(x, y), iterations=1)
    assert (found.top_eigenvalue, found.loss_bound(0.1)) == (None, None)
    assert found.why_none == "no eigenvalue after 1 iterations"
    assert found.gradient_norm > 0


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient * 2


class OnceNetwork(nn.Module):
    """The operation without second derivative is last, or between two layers: half of the Hessian is then there."""

    def __init__(self, last):
        super().__init__()
        torch.manual_seed(0)
        self.below, self.above = nn.Linear(FEATURES, 4), nn.Linear(4, 2)
        self.last = last

    def forward(self, x):
        x = self.below(x).tanh()
        return Once.apply(self.above(x)) if self.last else self.above(Once.apply(x))


@pytest.mark.parametrize("last", [True, False])
def test_a_network_without_second_derivative_has_no_curvature_and_all_else(last):
    x, y = rows_of(2)
    found = measure_sensitivity(OnceNetwork(last), batches(x, y), iterations=200)
    assert found.top_eigenvalue is None
    assert "no second derivative" in found.why_none
    assert found.gradient_norm > 0


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.head = nn.Linear(1, 8), nn.Linear(8, 2)

    def forward(self, x):
        tokens = self.inner(x[:, None, :, None])
        return self.head(nn.functional.scaled_dot_product_attention(tokens, tokens, tokens).mean((1, 2)))


def test_fused_attention_has_a_curvature():
    x, y = rows_of(2)
    assert measure_sensitivity(Attention(), batches(x, y), iterations=300).top_eigenvalue > 0


def test_parameters_that_are_frozen_or_unused_do_not_count():
    model, (x, y) = logistic(2), rows_of(2)
    whole = measure_sensitivity(model, batches(x, y), iterations=300)
    model.register_parameter("unused", nn.Parameter(torch.ones(3)))
    model.register_parameter("frozen", nn.Parameter(torch.ones(3), requires_grad=False))
    again = measure_sensitivity(model, batches(x, y), iterations=300)
    assert again.gradient_norm == pytest.approx(whole.gradient_norm)
    assert again.top_eigenvalue == pytest.approx(whole.top_eigenvalue, rel=1e-2)
    assert weight_norm(model) ** 2 == pytest.approx(
        float(model.weight.detach().square().sum() + model.bias.detach().square().sum()) + 3
    )


def test_a_loss_that_is_not_finite_is_refused():
    model, (x, y) = logistic(2), rows_of(2)
    with torch.no_grad():
        model.weight.fill_(torch.inf)
    with pytest.raises(ModelError, match="not finite"):
        measure_sensitivity(model, batches(x, y))


@pytest.mark.parametrize("classes", [2, 4])
def test_planted_label_noise_is_found_in_the_group_that_has_it(classes):
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(classes, (4000,), generator=generator)
    group = torch.randint(2, (4000,), generator=generator)
    spoiled = (group == 1) & (torch.rand(4000, generator=generator) < 0.2)
    label = torch.where(spoiled, (truth + 1) % classes, truth)
    logits = 4.0 * nn.functional.one_hot(truth, classes) + torch.randn(4000, classes, generator=generator)
    found = confidently_other(logits.softmax(1), label)
    assert found[spoiled].float().mean() > 0.7
    assert found[~spoiled].float().mean() < 0.01
    assert found[group == 1].float().mean() > 0.13


def test_confidence_is_counted_by_hand():
    # t_0 = (0.9 + 0.6) / 2 = 0.75, t_1 = (0.8 + 0.2 + 0.1) / 3 = 0.367
    probability = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.8, 0.2], [0.9, 0.1]])
    found = confidently_other(probability, torch.tensor([0, 0, 1, 1, 1]))
    assert found.tolist() == [False, True, False, True, True]


def test_a_class_that_no_row_has_is_never_confident():
    probability = torch.tensor([[0.1, 0.1, 0.8], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    assert confidently_other(probability, torch.tensor([0, 0, 1])).tolist() == [False, False, False]
