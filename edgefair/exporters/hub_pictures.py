"""The preprocessor_config.json of a Hugging Face folder -> how a picture becomes the model's input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgefair.errors import ModelError
from edgefair.exporters.conversion import first_line, quietly
from edgefair.exporters.hub_graphs import Task

PIXELS = "pixel_values"
# Pillow's numbers of its filters.
RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
# Processors of the steps below, in one order. Others differ in ways that keys do not tell.
PROCESSORS = (
    "Beit",
    "Bit",
    "CLIP",
    "ConvNext",
    "DeiT",
    "EfficientNet",
    "Levit",
    "MobileNetV1",
    "MobileNetV2",
    "MobileViT",
    "PoolFormer",
    "Pvt",
    "Siglip",
    "ViT",
)
# Who carries out a step; others ignore its key or, in another release, do not.
STEPS: Mapping[str, tuple[str, ...]] = {
    "do_center_crop": (
        "Beit",
        "Bit",
        "CLIP",
        "DeiT",
        "EfficientNet",
        "Levit",
        "MobileNetV1",
        "MobileNetV2",
        "MobileViT",
        "PoolFormer",
    ),
    "do_flip_channel_order": ("MobileViT",),
    "do_normalize": tuple(kind for kind in PROCESSORS if kind != "MobileViT"),
    "do_pad": (),
    "include_top": ("EfficientNet",),
    "rescale_offset": ("EfficientNet",),
}
# ConvNext crops below this size and stretches from it on.
CONVNEXT_STRETCHES = 384
# LeViT resizes the shorter side to this many times `shortest_edge`.
LEVIT_MARGIN = 256 / 224


@dataclass(frozen=True)
class PictureSettings:
    """How a picture becomes `pixel_values` float32 [rows, channels, height, width]: (value / 255 - mean) / std.

    resample: Pillow's filter in lower case. shorter: resize the shorter side to that many pixels and then take the
    centre. stretched: stretch to this height and width and then take the centre. Without either the picture is
    stretched to [height, width].
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: str
    shorter: int | None
    stretched: tuple[int, int] | None = None


@dataclass(frozen=True)
class PictureFeed:
    """What a picture model is fed with. reverses: it takes BGR, and its graph gets RGB and reverses the channels."""

    settings: PictureSettings
    reverses: bool

    task: ClassVar[Task] = "image-classification"
    names: ClassVar[tuple[str, ...]] = (PIXELS,)
    limits: ClassVar[Mapping[str, int | None]] = {"rows": None}

    def batch(self, rows: int) -> dict[str, NDArray[Any]]:
        """Random inputs of the graph."""
        shape = (rows, self.settings.channels, self.settings.height, self.settings.width)
        return {PIXELS: np.random.default_rng(rows).normal(size=shape).astype(np.float32)}

    def as_trained(self, batch: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """A batch as the model itself takes it."""
        return {PIXELS: np.ascontiguousarray(batch[PIXELS][:, ::-1])} if self.reverses else dict(batch)

    def finish(self, graph: onnx.ModelProto) -> None:
        """Write the sizes of a picture into the graph's input, and reverse the channels behind it."""
        (pixels,) = graph.graph.input
        sizes = (self.settings.channels, self.settings.height, self.settings.width)
        for dim, size in zip(pixels.type.tensor_type.shape.dim[1:], sizes, strict=True):
            dim.dim_value = size
        if self.reverses:
            _reverse_channels(graph.graph, self.settings.channels)


def _reverse_channels(graph: onnx.GraphProto, channels: int) -> None:
    order, reversed_pixels = "channel_order", f"{PIXELS}_reversed"
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == PIXELS:
                node.input[index] = reversed_pixels
    graph.initializer.append(numpy_helper.from_array(np.arange(channels, dtype=np.int64)[::-1].copy(), order))
    node = helper.make_node("Gather", [PIXELS, order], [reversed_pixels], name="reverse_channels", axis=1)
    graph.node.insert(0, node)


def picture_feed(content: Mapping[str, Any], config: Any) -> PictureFeed:
    """Read the settings; what the file leaves out is filled in by the processor's class.

    Args:
        content: of preprocessor_config.json.
        config: of the model, a transformers.PretrainedConfig.

    Raises:
        ModelError: an unknown processor, or a key whose effect `PictureSettings` cannot express, by its name.
    """
    written = str(content.get("image_processor_type") or content.get("feature_extractor_type"))
    kind = written.removesuffix("Fast").removesuffix("ImageProcessor").removesuffix("FeatureExtractor")
    if kind not in PROCESSORS:
        raise _unknown("image_processor_type", written, f"a processor of: {', '.join(PROCESSORS)}")
    try:
        with quietly():
            settings = _processor(kind).from_dict(dict(content)).to_dict()
        return PictureFeed(_settings(kind, settings, _channels(config)), bool(settings.get("do_flip_channel_order")))
    except (AttributeError, ImportError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"preprocessor_config.json cannot be read: {first_line(error)}") from error


def _processor(kind: str) -> Any:
    """The class that works with Pillow: transformers 5 gave it a name of its own."""
    import transformers

    return getattr(transformers, f"{kind}ImageProcessorPil", None) or getattr(transformers, f"{kind}ImageProcessor")


def _channels(config: Any) -> int:
    """Models of pictures and texts keep what they know of pictures in a config of its own."""
    part = config if hasattr(config, "num_channels") else getattr(config, "vision_config", None)
    channels = getattr(part, "num_channels", None)
    if channels is None:
        raise ModelError("config.json says nothing of num_channels", expected="a classifier of pictures")
    return int(channels)


def _settings(kind: str, settings: Mapping[str, Any], channels: int) -> PictureSettings:
    for key, kinds in STEPS.items():
        if settings.get(key) and kind not in kinds and not _cuts_nothing(key, settings):
            raise _unknown(key, settings[key], f"false, or a processor of: {', '.join(kinds)}" if kinds else "false")
    if not settings["do_resize"]:
        raise _unknown("do_resize", settings["do_resize"], "true")
    if settings["resample"] not in range(len(RESAMPLE)):
        raise _unknown("resample", settings["resample"], "the number of a filter of Pillow")
    height, width, shorter, stretched = _size(kind, settings)
    mean, std = _scale(settings, channels)
    return PictureSettings(height, width, channels, mean, std, RESAMPLE[settings["resample"]], shorter, stretched)


def _cuts_nothing(key: str, settings: Mapping[str, Any]) -> bool:
    return key == "do_center_crop" and dict(settings["crop_size"]) == dict(settings["size"])


def _scale(settings: Mapping[str, Any], channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """mean and std of (value / 255 - mean) / std, which is (value * factor - offset - image_mean) / image_std.

    EfficientNet's processor divides by image_std once more where it says include_top.
    """
    factor = 255.0 * (float(settings["rescale_factor"]) if settings["do_rescale"] else 1.0)
    if not (math.isfinite(factor) and factor > 0):
        raise _unknown("rescale_factor", settings["rescale_factor"], "a positive number")
    offset = 1.0 if settings["do_rescale"] and settings.get("rescale_offset") else 0.0
    normalize = settings.get("do_normalize")
    mean = _per_channel("image_mean", settings["image_mean"] if normalize else 0.0, channels)
    std = _per_channel("image_std", settings["image_std"] if normalize else 1.0, channels)
    again = _per_channel("image_std", settings["image_std"] if settings.get("include_top") else 1.0, channels)
    return (
        tuple((item + offset) / factor for item in mean),
        tuple(first * second / factor for first, second in zip(std, again, strict=True)),
    )


def _size(kind: str, settings: Mapping[str, Any]) -> tuple[int, int, int | None, tuple[int, int] | None]:
    """Height and width of the model's input; the shorter side, or both, before the centre is taken."""
    size = _resized(kind, settings)
    crop = dict(settings["crop_size"]) if settings.get("do_center_crop") else None
    if kind == "ConvNext" and set(size) == {"shortest_edge"}:
        edge = int(size["shortest_edge"])
        return edge, edge, None if edge >= CONVNEXT_STRETCHES else int(edge / settings["crop_pct"]), None
    if set(size) not in ({"height", "width"}, {"shortest_edge"} if crop else None):
        raise _unknown("size", size, "height and width, or shortest_edge with do_center_crop")
    if crop is None or crop == size:
        return int(size["height"]), int(size["width"]), None, None
    height, width = int(crop["height"]), int(crop["width"])
    if "shortest_edge" in size:
        shorter, stretched = int(size["shortest_edge"]), None
        fits = shorter >= max(height, width)
    else:
        shorter, stretched = None, (int(size["height"]), int(size["width"]))
        fits = stretched[0] >= height and stretched[1] >= width
    if not fits:
        raise _unknown("crop_size", crop, f"at most the size after resizing, {size}")
    return height, width, shorter, stretched


def _resized(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """`size`, with the margin for the centre that some processors add to it."""
    size = dict(settings["size"])
    if kind == "Levit" and set(size) == {"shortest_edge"}:
        return {"shortest_edge": int(LEVIT_MARGIN * size["shortest_edge"])}
    if kind == "PoolFormer" and settings.get("crop_pct"):
        sides = set(size.values())
        if len(sides) == 1:
            return {"shortest_edge": int(sides.pop() / settings["crop_pct"])}
        return {key: int(side / settings["crop_pct"]) for key, side in size.items()}
    return size


def _per_channel(key: str, value: Any, channels: int) -> tuple[float, ...]:
    values = (float(value),) * channels if isinstance(value, int | float) else tuple(float(item) for item in value)
    if len(values) != channels:
        raise _unknown(key, list(values), f"one number for each of {channels} channels")
    return values


def _unknown(key: str, value: Any, expected: str) -> ModelError:
    return ModelError(f"preprocessor_config.json says {key}: {value}", expected=f"{key}: {expected}")
