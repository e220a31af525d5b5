"""Label-preserving augmentation that raises the rare cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from edgefair.debias.base import Cells, Debias
from edgefair.errors import DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

# At strength 1: largest shift as a share of the picture, and the largest changes of scale, contrast, brightness and
# noise (in units of the normalized picture).
SHIFT, SCALE, CONTRAST, BRIGHTNESS, NOISE = 0.15, 0.15, 0.4, 0.3, 0.1


class Augment(Debias):
    """Draw the rare (group, label) cells more often, and change what is drawn without changing its label.

    Every cell is drawn with at least `share` times its even share. Pictures are flipped, shifted, scaled and changed in
    contrast and brightness, each up to `strength`. A share `mixup` of the rows of a picture or a table is mixed with a
    row of the same label and another group: x <- t x + (1 - t) x', t uniform in [0.5, 1] (the path between two groups
    of Chuang & Mroueh, "Fair mixup: fairness via interpolation", ICLR 2021, walked per label). The label is that of
    both; the group counts as that of the nearer end.
    """

    sets_weights = True
    search: ClassVar[Mapping[str, tuple[float, float]]] = {"share": (0.2, 1.0)}
    few_rows = "its rows are drawn again and again, each time augmented: the variety is synthetic"

    def __init__(self, *, strength: float = 0.5, share: float = 1.0, mixup: float = 0.5, flip: bool = True) -> None:
        for name, value in (("strength", strength), ("share", share), ("mixup", mixup)):
            if not 0 <= value <= 1:
                raise UsageError(f"augment: {name} is {value}", expected="0 to 1")
        self.strength = strength
        self.share = share
        self.mixup = mixup
        self.flip = flip

    def sampling_weights(self, cells: Cells) -> Tensor:
        """Probability of each cell over its rows, float32 [rows]."""
        counts = cells.counts().double().flatten()
        even = 1.0 / int((counts > 0).sum())
        mass = (counts / counts.sum()).clamp(min=self.share * even)
        return (mass / counts.clamp(min=1.0))[cells.index()].float()

    def augment(self, features: Tensor, label: Tensor, group: Tensor) -> Tensor:
        """Changed features, float32 of the same shape.

        Raises:
            DataError: token ids, which have no small changes that surely keep the label.
        """
        if not features.is_floating_point():
            raise DataError(
                "debias method 'augment' changes pictures and numbers, and this model reads tokens",
                fix="use balance or reweigh for texts",
            )
        if features.ndim == 4:
            features = _change_pictures(features, self.strength, flip=self.flip)
        return _mix(features, label, group, self.mixup)


def _change_pictures(x: Tensor, strength: float, *, flip: bool) -> Tensor:
    """Pictures [batch, channels, height, width], each changed on its own."""
    import torch
    from torch.nn import functional

    def draw(width: float) -> Tensor:
        return (2 * torch.rand(len(x), device=x.device) - 1) * width * strength

    mirror = torch.where(torch.rand(len(x), device=x.device) < 0.5, -1.0, 1.0) if flip else torch.ones(len(x)).to(x)
    size = 1 + draw(SCALE)
    place = torch.zeros(len(x), 2, 3, device=x.device)
    place[:, 0, 0], place[:, 1, 1] = mirror * size, size
    place[:, 0, 2], place[:, 1, 2] = 2 * draw(SHIFT), 2 * draw(SHIFT)
    grid = functional.affine_grid(place, list(x.shape), align_corners=False)
    moved = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    contrast, brightness = (1 + draw(CONTRAST)).view(-1, 1, 1, 1), draw(BRIGHTNESS).view(-1, 1, 1, 1)
    return (moved - mean) * contrast + mean + brightness + torch.randn_like(moved) * NOISE * strength


def _mix(x: Tensor, label: Tensor, group: Tensor, share: float) -> Tensor:
    """Rows mixed with a random row of the same label and another group, where the batch has one."""
    import torch

    fits = (label[:, None] == label[None, :]) & (group[:, None] != group[None, :])
    partner = (fits * torch.rand(fits.shape, device=x.device)).argmax(dim=1)
    chosen = fits.any(dim=1) & (torch.rand(len(x), device=x.device) < share)
    keep = torch.where(chosen, 0.5 + 0.5 * torch.rand(len(x), device=x.device), 1.0)
    keep = keep.reshape(-1, *[1] * (x.ndim - 1))
    return keep * x + (1 - keep) * x[partner]
