"""One layer as a product of thinner ones: what each rank keeps, what it costs, and the layers themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from edgefair.compress.steps.layers import Layer

# Rounding of float32 weights; a matrix of rank r has all its energy in r directions.
ROUNDING = 1e-9

Kind = Literal["pair", "tucker"]


@dataclass(frozen=True)
class Split:
    """How a layer is split.

    Attributes:
        kind: `pair`: two linear layers, or a k x 1 and a 1 x k convolution; `tucker`: 1 x 1, k x k, 1 x 1.
        ranks: channels between the two, or after the first and after the second of the three.
        energy: sum of the squared weights of what is kept, as a share of the layer's.
        macs: multiply-accumulate operations of one row.
    """

    kind: Kind
    ranks: tuple[int, ...]
    energy: float
    macs: int

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {"kind": self.kind, "ranks": list(self.ranks), "energy": self.energy, "macs": self.macs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Split:
        """Read back what `to_json` wrote."""
        return cls(data["kind"], tuple(data["ranks"]), data["energy"], data["macs"])


class Factored(nn.Sequential):
    """Thinner layers in the place of one.

    Networks ask a layer for the type of its weight; they are shown the last one's.
    """

    @property
    def weight(self) -> Tensor:
        """The last layer's."""
        weight: Tensor = self.get_submodule(str(len(self) - 1)).weight  # type: ignore[assignment]
        return weight


class Splits:
    """All splits of one Linear, or of one Conv2d without groups.

    Linear: W = (U S)(V^T), cut after r singular values (Eckart and Young). Conv2d: the same for W seen as a matrix
    [in * kh, out * kw] (Jaderberg et al., "Speeding up convolutional neural networks with low rank expansions", BMVC
    2014), or W = G x_1 A x_2 B with orthonormal A [out, r2] and B [in, r1] from the higher-order SVD (Tucker-2; Kim et
    al., "Compression of deep convolutional neural networks for fast and low power mobile applications", ICLR 2016).
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        with torch.no_grad():
            weight = layer.module.weight.double()
            matrix = weight.T if weight.dim() == 2 else weight.permute(1, 2, 0, 3).flatten(2).flatten(0, 1)
            self._first, self._second, squares = _eigen(matrix)
            self._energy = (squares.cumsum(0) / squares.sum().clamp(min=1e-300)).clamp(max=1.0)
            self._pair_macs = torch.arange(1, self.full + 1) * self._macs_per_rank()
            module = layer.module
            if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
                self._tucker: _Tucker | None = _Tucker(layer, module, weight)
            else:
                self._tucker = None

    @property
    def full(self) -> int:
        """The largest rank of a pair, at which it is the layer itself."""
        return len(self._energy)

    @property
    def affordable(self) -> int:
        """The largest rank at which a pair needs fewer MACs than the layer; 0 where none does."""
        return int((self._pair_macs < self._layer.macs).sum())

    def energy(self, rank: int) -> float:
        """Share of the energy that a pair of this rank keeps."""
        return float(self._energy[rank - 1])

    def cheapest(self, energy: float) -> Split:
        """The split with the fewest MACs among those that keep a share of the energy."""
        rank = min(int((self._energy < energy - ROUNDING).sum()) + 1, self.full)
        pair = Split("pair", (rank,), self.energy(rank), int(self._pair_macs[rank - 1]))
        tucker = None if self._tucker is None else self._tucker.cheapest(energy)
        return tucker if tucker is not None and tucker.macs < pair.macs else pair

    def build(self, split: Split) -> Factored:
        """The layers of a split, with the bias in the last one."""
        module = self._layer.module
        if split.kind == "tucker" and self._tucker is not None:
            layers = self._tucker.build(*split.ranks)
        else:
            layers = self._pair(split.ranks[0])
        if module.bias is not None:
            layers[-1].bias = nn.Parameter(module.bias.detach().clone())
        return Factored(*layers).to(module.weight).train(module.training)

    def _macs_per_rank(self) -> int:
        module, (height, width) = self._layer.module, self._layer.leaving
        if isinstance(module, nn.Linear):
            return self._layer.calls * height * width * (module.in_features + module.out_features)
        kh, kw = module.kernel_size
        between = self._layer.entering[1] if kw > 1 else width
        return self._layer.calls * height * (between * module.in_channels * kh + width * module.out_channels * kw)

    def _pair(self, rank: int) -> list[nn.Linear | nn.Conv2d]:
        first, second = self._first[:, :rank].T, self._second[:rank].T
        module = self._layer.module
        if isinstance(module, nn.Linear):
            return [_linear(first), _linear(second)]
        kh, kw = module.kernel_size
        # A kernel of width 1 leaves nothing to the second convolution but the channels.
        second_steps = 1 if kw > 1 else None
        down = _conv(
            first.reshape(rank, module.in_channels, kh, 1),
            module,
            stride=(module.stride[0], 1 if second_steps else module.stride[1]),
            padding=_padding(module, rows=True, columns=not second_steps),
            dilation=(module.dilation[0], 1),
        )
        across = _conv(
            second.reshape(module.out_channels, kw, rank).permute(0, 2, 1).unsqueeze(2),
            module,
            stride=(1, module.stride[1] if second_steps else 1),
            padding=_padding(module, rows=False, columns=bool(second_steps)),
            dilation=(1, module.dilation[1]),
        )
        return [down, across]


class _Tucker:
    """W [out, in, kh, kw] = G x_1 A x_2 B, for every pair of ranks."""

    def __init__(self, layer: Layer, module: nn.Conv2d, weight: Tensor) -> None:
        self._module = module
        self._out, _, _ = _eigen(weight.flatten(1), scaled=False)
        self._in, _, _ = _eigen(weight.transpose(0, 1).flatten(1), scaled=False)
        self._core = torch.einsum("oikl,or,is->rskl", weight, self._out, self._in)
        squares = self._core.square().sum(dim=(2, 3))
        # [r2, r1]: the factors are orthonormal, so what is kept has the norm of the core that is kept.
        self._energy = squares.cumsum(0).cumsum(1) / squares.sum().clamp(min=1e-300)
        r2 = torch.arange(1, squares.shape[0] + 1)[:, None]
        r1 = torch.arange(1, squares.shape[1] + 1)[None, :]
        (high, wide), (height, width) = layer.entering, layer.leaving
        taps = weight[0, 0].numel()
        self._macs = layer.calls * (
            high * wide * r1 * weight.shape[1] + height * width * (r1 * r2 * taps + r2 * weight.shape[0])
        )

    def cheapest(self, energy: float) -> Split:
        enough = self._energy >= min(energy - ROUNDING, float(self._energy[-1, -1]))
        place = int(torch.where(enough, self._macs, torch.iinfo(torch.int64).max).argmin())
        r2, r1 = divmod(place, self._energy.shape[1])
        kept = min(float(self._energy[r2, r1]), 1.0)
        return Split("tucker", (r1 + 1, r2 + 1), kept, int(self._macs[r2, r1]))

    def build(self, r1: int, r2: int) -> list[nn.Linear | nn.Conv2d]:
        module = self._module
        plain: dict[str, Any] = {"stride": (1, 1), "padding": 0, "dilation": (1, 1)}
        return [
            _conv(self._in[:, :r1].T[:, :, None, None], module, **plain),
            _conv(self._core[:r2, :r1], module, stride=module.stride, padding=module.padding, dilation=module.dilation),
            _conv(self._out[:, :r2][:, :, None, None], module, **plain),
        ]


def _eigen(matrix: Tensor, *, scaled: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """M [m, n] = first @ second, cut anywhere: [m, k], [k, n] and the squared singular values, falling [k].

    From the eigenvectors of the smaller one of M M^T and M^T M, which is faster than an SVD. `scaled` shares the
    singular values between the two sides; otherwise `first` is orthonormal.
    """
    if scaled and matrix.shape[0] > matrix.shape[1]:
        second, first, squares = _eigen(matrix.T)
        return first.T, second.T, squares
    values, vectors = torch.linalg.eigh(matrix @ matrix.T)
    squares, first = values.flip(0).clamp(min=0.0), vectors.flip(1)
    second = first.T @ matrix
    if scaled:
        root = squares.clamp(min=float(squares[0]) * 1e-12 + 1e-300) ** 0.25
        first, second = first * root, second / root[:, None]
    return first, second, squares


def _linear(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = nn.Parameter(weight.float().contiguous())
    return layer


def _conv(weight: Tensor, like: nn.Conv2d, *, stride: Any, padding: Any, dilation: Any) -> nn.Conv2d:
    layer = nn.Conv2d(
        weight.shape[1],
        weight.shape[0],
        (weight.shape[2], weight.shape[3]),
        stride,
        padding,
        dilation,
        bias=False,
        padding_mode=like.padding_mode,
    )
    layer.weight = nn.Parameter(weight.float().contiguous())
    return layer


def _padding(module: nn.Conv2d, *, rows: bool, columns: bool) -> str | tuple[int, int]:
    """The layer's padding in the directions that one of two convolutions works in."""
    if isinstance(module.padding, str):
        return module.padding
    return (module.padding[0] if rows else 0, module.padding[1] if columns else 0)
