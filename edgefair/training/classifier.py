"""Preprocessing, network and decision as one module, so that one graph goes to the device."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, PictureSpec
from edgefair.training.settings import PictureConfig

# Standardized numbers are clipped here: one extreme row must not stretch the INT8 range of everybody's features.
CLIP_SIGMA = 5.0


class Numbers(nn.Module):
    """z = clip((x - mean) / std, -CLIP_SIGMA, CLIP_SIGMA), column by column; a constant column becomes 0."""

    mean: Tensor
    inverse_std: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("inverse_std", torch.ones(shape))
        self.shape = shape

    def fit(self, x: Tensor) -> None:
        """Take mean and standard deviation from training rows [rows, *shape]."""
        std, mean = torch.std_mean(x.double(), dim=0, correction=0)
        self.mean.copy_(mean)
        self.inverse_std.copy_(torch.where(std > 0, 1.0 / std, 0.0))

    def forward(self, x: Tensor) -> Tensor:
        """[rows, *shape] -> [rows, *shape]."""
        return ((x.float() - self.mean) * self.inverse_std).clamp(-CLIP_SIGMA, CLIP_SIGMA)


class OneHot(nn.Module):
    """Codes int32 [rows, columns] -> float32 [rows, sum of vocabulary sizes]; an unseen value lights no slot."""

    column_of_slot: Tensor
    code_of_slot: Tensor

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        columns = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
        codes = torch.cat([torch.arange(size, dtype=torch.int32) for size in sizes])
        self.register_buffer("column_of_slot", columns)
        self.register_buffer("code_of_slot", codes)
        self.shape = (len(codes),)

    def forward(self, codes: Tensor) -> Tensor:
        """[rows, columns] -> [rows, slots]."""
        return (codes.index_select(1, self.column_of_slot) == self.code_of_slot).float()


class Pixels(nn.Module):
    """uint8 [rows, height, width, channels] -> (x / 255 - mean) / std as [rows, channels, height, width]."""

    mean: Tensor
    std: Tensor

    def __init__(self, picture: PictureSpec, config: PictureConfig) -> None:
        super().__init__()
        mean, std = config.scales()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.shape = (picture.channels, picture.height, picture.width)

    def forward(self, x: Tensor) -> Tensor:
        """[rows, height, width, channels] -> [rows, channels, height, width]."""
        # Contiguous: with torch 2.13 the backward pass of convolutions corrupts memory on channels-last inputs (CPU).
        return ((x.float() / 255.0 - self.mean) / self.std).permute(0, 3, 1, 2).contiguous()


class Tokens(nn.Module):
    """Token ids pass as they are."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.shape = (length,)

    def forward(self, ids: Tensor) -> Tensor:
        """[rows, length] -> int64 [rows, length]."""
        return ids.long()


class Preprocess(nn.Module):
    """Raw graph inputs -> the network's features float32 [rows, *features] (token ids int64)."""

    def __init__(
        self, inputs: tuple[InputSpec, ...], array_shapes: Mapping[str, tuple[int, ...]], picture: PictureConfig
    ) -> None:
        super().__init__()
        parts = [_part(item, array_shapes, picture) for item in inputs]
        self.parts = nn.ModuleList(parts)
        shapes: list[tuple[int, ...]] = [part.shape for part in parts]
        self.features: tuple[int, ...] = shapes[0] if len(shapes) == 1 else (sum(_width(s) for s in shapes),)

    def fit(self, *inputs: Tensor) -> None:
        """Learn the scaling of numbers from training rows; pictures and tokens have nothing to learn."""
        for part, x in zip(self.parts, inputs, strict=True):
            if isinstance(part, Numbers):
                part.fit(x)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Inputs in the spec's order, each [rows, ...] -> [rows, *features]."""
        parts = [part(x) for part, x in zip(self.parts, inputs, strict=True)]
        return parts[0] if len(parts) == 1 else torch.cat([part.flatten(1) for part in parts], dim=1)


def _part(
    item: InputSpec, array_shapes: Mapping[str, tuple[int, ...]], picture: PictureConfig
) -> Numbers | OneHot | Pixels | Tokens:
    if item.picture is not None:
        return Pixels(item.picture, picture)
    if item.tokens is not None:
        return Tokens(item.tokens.length)
    if item.array is not None:
        return Numbers(array_shapes[item.array])
    sizes = [len(column.vocabulary) for column in item.columns if column.vocabulary is not None]
    return OneHot(sizes) if sizes else Numbers((len(item.columns),))


def _width(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


class Classifier(nn.Module):
    """Preprocessing and network: raw inputs -> logits [rows, classes]."""

    def __init__(self, preprocess: Preprocess, network: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """Inputs in the spec's order -> logits float32 [rows, classes]."""
        logits: Tensor = self.network(self.preprocess(*inputs))
        return logits


class Deployable(nn.Module):
    """What is exported: raw inputs -> (decision int64 [rows], score float32 [rows, classes])."""

    def __init__(self, classifier: Classifier, spec: ModelSpec) -> None:
        super().__init__()
        self.classifier = classifier
        self.threshold = spec.reading.threshold

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Binary: decide class 1 where P(class 1) >= threshold. More classes: the most probable."""
        score = self.classifier(*inputs).softmax(dim=1)
        decision = score.argmax(dim=1) if self.threshold is None else (score[:, 1] >= self.threshold).long()
        return decision, score
