"""Published architectures at their published sizes, with random weights: what `int8_placement.py` times.

Those of transformers are made from its configurations; MobileNetV3 and EfficientNet-Lite0, which it lacks, are written
out. Time does not depend on the weights, so nothing is trained: batch norms have seen data and layers keep the size of
what goes through them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx
import torch
import transformers
from torch import Tensor, nn

SIDE, TOKENS = 224, 128
OPSET = 20
HEADS = {"Image": "ForImageClassification", "Text": "ForSequenceClassification"}
BERT_SMALL = {"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536}


@dataclass(frozen=True)
class Architecture:
    """A network by how it is made.

    Attributes:
        text: whether it reads ids int64 [rows, TOKENS], else pictures float32 [rows, 3, side, side].
    """

    make: Callable[[], nn.Module]
    text: bool = False
    side: int = SIDE

    def example(self, rows: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Inputs of the network."""
        torch.manual_seed(seed)
        if not self.text:
            return (torch.randn(rows, 3, self.side, self.side),)
        return torch.randint(5, 900, (rows, TOKENS)), torch.ones(rows, TOKENS, dtype=torch.int64)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the inputs."""
        return ("input_ids", "attention_mask") if self.text else ("pixel_values",)

    def graph(self) -> onnx.ModelProto:
        """The network in FP32, for any number of rows."""
        network = settled(self.make(), self.example(4))
        dims = tuple({0: torch.export.Dim("rows", min=1)} for _ in self.names)
        program = torch.onnx.export(
            network,
            self.example(2),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(self.names),
            output_names=["logits"],
            dynamic_shapes=(dims,) if isinstance(network, Logits) else dims,
            external_data=False,
            verbose=False,
        )
        if program is None:
            raise SystemExit("the exporter returned no ONNX program")
        return program.model_proto


class Logits(nn.Module):
    """A classifier of transformers by the order of its inputs."""

    def __init__(self, model: Any, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """Inputs [rows, ...] -> logits [rows, 2]."""
        logits: Tensor = self.model(**dict(zip(self.names, inputs, strict=True)), return_dict=True).logits
        return logits


@torch.no_grad()
def settled(network: nn.Module, example: tuple[Tensor, ...]) -> nn.Module:
    """The network with weights that keep the size of what they read, and batch norms that have seen data."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()(*example)
    return network.eval()


def hub(name: str, kind: str, **config: Any) -> Callable[[], nn.Module]:
    """A classifier of transformers."""

    def make() -> nn.Module:
        torch.manual_seed(0)
        settings = getattr(transformers, f"{name}Config")(**config)
        settings._attn_implementation = "eager"
        model = getattr(transformers, name + HEADS[kind])(settings)
        return Logits(model, ("pixel_values",) if kind == "Image" else ("input_ids", "attention_mask"))

    return make


class Same(nn.Module):
    """Padding as TensorFlow's "SAME": more behind than in front where a stride leaves it odd."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """[rows, channels, height, width] -> the same with zeros around."""
        sides = []
        for size in (x.shape[3], x.shape[2]):
            wanted = max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)
            sides += [wanted // 2, wanted - wanted // 2]
        return nn.functional.pad(x, sides)


class SqueezeExcite(nn.Module):
    """Scales channels by what their means say (Hu et al. 2018), with a hard sigmoid as in MobileNetV3."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inner, 1),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[rows, channels, height, width], each channel scaled."""
        return x * self.scale(x)


class Inverted(nn.Module):
    """An inverted residual: 1x1, depthwise, 1x1 (Sandler et al. 2018)."""

    def __init__(
        self, inputs: int, inner: int, outputs: int, kernel: int, stride: int, act: Any, excite: int, same: bool
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if inner != inputs:
            layers += [nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), act()]
        apart = same and stride > 1
        layers += [Same(kernel, stride)] if apart else []
        pad = 0 if apart else kernel // 2
        layers += [nn.Conv2d(inner, inner, kernel, stride, pad, groups=inner, bias=False), nn.BatchNorm2d(inner), act()]
        layers += [SqueezeExcite(inner, excite)] if excite else []
        layers += [nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.layers = nn.Sequential(*layers)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """[rows, inputs, height, width] -> [rows, outputs, height / stride, width / stride]."""
        given: Tensor = self.layers(x)
        return x + given if self.residual else given


# Kernel, inner and outer channels, squeeze-and-excite, hard-swish, stride: MobileNetV3-Large (Howard et al. 2019).
V3_LARGE = (
    (3, 16, 16, 0, 0, 1),
    (3, 64, 24, 0, 0, 2),
    (3, 72, 24, 0, 0, 1),
    (5, 72, 40, 1, 0, 2),
    (5, 120, 40, 1, 0, 1),
    (5, 120, 40, 1, 0, 1),
    (3, 240, 80, 0, 1, 2),
    (3, 200, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1),
    (3, 480, 112, 1, 1, 1),
    (3, 672, 112, 1, 1, 1),
    (5, 672, 160, 1, 1, 2),
    (5, 960, 160, 1, 1, 1),
    (5, 960, 160, 1, 1, 1),
)
# Expansion, channels, repeats, stride, kernel of EfficientNet-B0 (Tan & Le 2019); Lite0 has no excitation, and ReLU6.
LITE0 = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def _tail(inputs: int, inner: int, act: Any, *, hidden: int = 0) -> list[nn.Module]:
    head = [
        nn.Conv2d(inputs, inner, 1, bias=False),
        nn.BatchNorm2d(inner),
        act(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]
    return head + ([nn.Linear(inner, hidden), act(), nn.Linear(hidden, 2)] if hidden else [nn.Linear(inner, 2)])


def mobilenet_v3() -> nn.Module:
    """MobileNetV3-Large."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()]
    channels = 16
    for kernel, inner, outer, excite, swish, stride in V3_LARGE:
        act = nn.Hardswish if swish else nn.ReLU
        narrow = max(8, (inner // 4 + 4) // 8 * 8) if excite else 0
        layers.append(Inverted(channels, inner, outer, kernel, stride, act, narrow, same=False))
        channels = outer
    return nn.Sequential(*layers, *_tail(channels, 960, nn.Hardswish, hidden=1280))


def efficientnet_lite0() -> nn.Module:
    """EfficientNet-Lite0 with the paddings of TensorFlow, as its published weights want them."""
    torch.manual_seed(0)
    stem = [Same(3, 2), nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    layers: list[nn.Module] = [*stem]
    channels = 32
    for expansion, outer, repeats, stride, kernel in LITE0:
        for index in range(repeats):
            by = stride if index == 0 else 1
            layers.append(Inverted(channels, expansion * channels, outer, kernel, by, nn.ReLU6, 0, same=True))
            channels = outer
    return nn.Sequential(*layers, *_tail(channels, 1280, nn.ReLU6))


ARCHITECTURES: Mapping[str, Architecture] = {
    "efficientnet-lite0": Architecture(efficientnet_lite0),
    "efficientnet-b0": Architecture(
        hub("EfficientNet", "Image", width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280, image_size=SIDE)
    ),
    "mobilenet-v2": Architecture(hub("MobileNetV2", "Image")),
    "mobilenet-v3-large": Architecture(mobilenet_v3),
    "mobilevit-small": Architecture(hub("MobileViT", "Image", image_size=256), side=256),
    "regnet-y-400mf": Architecture(
        hub("RegNet", "Image", hidden_sizes=[48, 104, 208, 440], depths=[1, 3, 6, 6], groups_width=8, embedding_size=32)
    ),
    "swin-tiny": Architecture(hub("Swin", "Image")),
    "deit-small": Architecture(
        hub("DeiT", "Image", hidden_size=384, num_attention_heads=6, intermediate_size=1536, num_hidden_layers=12)
    ),
    "convnext-v2-nano": Architecture(hub("ConvNextV2", "Image", hidden_sizes=[80, 160, 320, 640], depths=[2, 2, 8, 2])),
    "roberta-base": Architecture(hub("Roberta", "Text"), text=True),
    "deberta-v3-xsmall": Architecture(
        hub(
            "DebertaV2",
            "Text",
            **{**BERT_SMALL, "num_attention_heads": 6},
            num_hidden_layers=12,
            vocab_size=30_522,
            relative_attention=True,
            pos_att_type=["p2c", "c2p"],
            position_buckets=256,
            type_vocab_size=0,
            position_biased_input=False,
            share_att_key=True,
            norm_rel_ebd="layer_norm",
        ),
        text=True,
    ),
    "albert-base": Architecture(
        hub("Albert", "Text", hidden_size=768, num_attention_heads=12, intermediate_size=3072), text=True
    ),
    "electra-small": Architecture(hub("Electra", "Text"), text=True),
    "minilm-l6": Architecture(hub("Bert", "Text", **BERT_SMALL, num_hidden_layers=6), text=True),
}
