"""A classifier saved by transformers' save_pretrained -> one checked FP32 ONNX graph, and how to feed it.

Everything is read from the folder: no network, no code of the model's own, no pickled weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from edgefair.errors import ModelError, missing_extra
from edgefair.exporters.checked import read_model
from edgefair.exporters.conversion import OPSET, finished_model, first_line, quietly
from edgefair.probe.regular import read_regular
from edgefair.scratch import work_folder

SAVE_SAFE = "save it with model.save_pretrained(..., safe_serialization=True)"
Task = Literal["image-classification", "text-classification"]
TASKS: Mapping[str, Task] = {
    "ForImageClassification": "image-classification",
    "ForSequenceClassification": "text-classification",
}
PIXELS = "pixel_values"
# Pillow's numbers of its filters.
RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
# Processors that resize, crop, rescale and normalise, in this order. Others differ in ways that keys do not tell.
PROCESSORS = (
    "Beit",
    "Bit",
    "CLIP",
    "ConvNext",
    "DeiT",
    "MobileNetV1",
    "MobileNetV2",
    "Pvt",
    "Siglip",
    "ViT",
)
# Steps that no settings here can express.
UNKNOWN_STEPS = ("do_flip_channel_order", "do_pad", "include_top", "rescale_offset")
# ConvNext crops below this size and stretches from it on.
CONVNEXT_STRETCHES = 384
# Of a file of settings; id2label of 20,000 classes has 1 MB.
MAX_JSON_BYTES = 1 << 24
# The largest difference of a logit between torch and the graph.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class PictureSettings:
    """How a picture becomes `pixel_values` float32 [rows, channels, height, width]: (value / 255 - mean) / std.

    resample: Pillow's filter in lower case. shorter: None stretches the picture to [height, width]; a number resizes
    its shorter side to that many pixels and then takes the centre.
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: str
    shorter: int | None


@dataclass(frozen=True)
class HubModel:
    """A converted classifier: `model` gives `logits` float32 [rows, labels].

    labels: names of the classes, in the order of the logits. picture: for pictures. tokenizer: for text, the folder's
    tokenizer.json. length: for text, the most tokens that the model takes, None where it has no limit.
    """

    model: onnx.ModelProto
    task: Task
    labels: tuple[str, ...]
    picture: PictureSettings | None
    tokenizer: Path | None
    length: int | None


def from_hugging_face(folder: Path) -> HubModel:
    """Convert a local folder of config.json, model.safetensors and preprocessor_config.json or tokenizer.json.

    Raises:
        UsageError: optimum or transformers is not installed.
        ModelError: a file missing or corrupt; pickled weights; a model with code of its own; not a classifier of one
            label out of several; preprocessing that the settings cannot express; or a graph that differs from torch.
    """
    config = _read_json(folder / "config.json", "a folder that save_pretrained wrote")
    task = _task(folder, config)
    _check_weights(folder)
    if task == "image-classification":
        preprocessor = _read_json(
            folder / "preprocessor_config.json", "the settings that AutoImageProcessor.save_pretrained writes"
        )
    try:
        import optimum.exporters.onnx  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise missing_extra("a Hugging Face model", "optimum", error) from error
    model = _load(folder, task)
    labels = _labels(folder, model.config)
    if task == "image-classification":
        picture = _picture(preprocessor, model.config)
        return HubModel(_export(folder, model, task, picture), task, labels, picture, None, None)
    tokenizer, length = _tokenizer(folder, model)
    return HubModel(_export(folder, model, task, None), task, labels, None, tokenizer, length)


def _read_json(path: Path, expected: str) -> dict[str, Any]:
    try:
        content = json.loads(read_regular(path, most=MAX_JSON_BYTES))
    except FileNotFoundError as error:
        raise ModelError(f"no file '{path}'", expected=expected) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"'{path}' is not readable JSON: {first_line(error)}", expected=expected) from error
    if not isinstance(content, dict):
        raise ModelError(f"'{path}' holds a {type(content).__name__}", expected=expected)
    return content


def _task(folder: Path, config: Mapping[str, Any]) -> Task:
    if "auto_map" in config:
        raise ModelError(
            f"'{folder}' needs code of its own (auto_map in config.json), which is never run",
            expected="an architecture of the transformers library",
        )
    if config.get("quantization_config"):
        raise ModelError(f"'{folder}' is quantized already (quantization_config)", expected="the FP32 model")
    if str(config.get("problem_type")) in {"regression", "multi_label_classification"}:
        raise ModelError(
            f"'{folder}' is a {config['problem_type']} model (problem_type)", expected="one label out of several"
        )
    said = config.get("architectures")
    architectures = said if isinstance(said, list) and said else ["unknown"]
    for ending, task in TASKS.items():
        if str(architectures[0]).endswith(ending):
            return task
    raise ModelError(
        f"the architecture in '{folder}' is {architectures[0]}",
        expected=f"one that ends in {' or '.join(TASKS)}",
    )


def _check_weights(folder: Path) -> None:
    if (folder / "model.safetensors").is_file():
        return
    pickled = [name for name in ("pytorch_model.bin", "pytorch_model.bin.index.json") if (folder / name).exists()]
    found = (
        f"the weights in '{folder}' are pickled ({pickled[0]})" if pickled else f"no model.safetensors in '{folder}'"
    )
    raise ModelError(found, expected="model.safetensors; pickled objects are never loaded", fix=SAVE_SAFE)


def _load(folder: Path, task: Task) -> Any:
    import torch
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    kind = AutoModelForImageClassification if task == "image-classification" else AutoModelForSequenceClassification
    try:
        with quietly():
            model, report = kind.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                torch_dtype=torch.float32,
                attn_implementation="eager",
                output_loading_info=True,
            )
    except Exception as error:
        raise ModelError(f"the model in '{folder}' cannot be loaded: {first_line(error)}") from error
    # transformers fills what is missing with random numbers.
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise ModelError(f"model.safetensors in '{folder}' lacks weights: {missing}", fix="save the fine-tuned model")
    return model.eval()


def _labels(folder: Path, config: Any) -> tuple[str, ...]:
    names = {int(index): str(label) for index, label in config.id2label.items()}
    labels = tuple(names[index] for index in sorted(names))
    if sorted(names) != list(range(len(names))) or len(set(labels)) != len(labels) or len(labels) < 2:
        raise ModelError(f"id2label in '{folder}' is {names}", expected="a different name for each of 0, 1, 2, ...")
    return labels


def _tokenizer(folder: Path, model: Any) -> tuple[Path, int | None]:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(
            f"no file '{path}'",
            expected="the tokenizer in the format of the tokenizers library",
            fix="save it with AutoTokenizer.from_pretrained(..., use_fast=True).save_pretrained(folder)",
        )
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise missing_extra("a text model", "optimum", error) from error
    try:
        largest = max(Tokenizer.from_file(str(path)).get_vocab().values(), default=-1)
    except Exception as error:
        raise ModelError(f"'{path}' is not a readable tokenizer: {first_line(error)}") from error
    if largest >= model.config.vocab_size:
        raise ModelError(
            f"'{path}' gives token {largest} and the model knows {model.config.vocab_size}",
            expected="the tokenizer that the model was trained with",
        )
    limits = [_positions(model)]
    if (folder / "tokenizer_config.json").is_file():
        limits.append(_read_json(folder / "tokenizer_config.json", "the tokenizer's settings").get("model_max_length"))
    # transformers writes 1e30 for "no limit".
    found = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < 10**9]
    return path, min(found, default=None)


def _positions(model: Any) -> int | None:
    """The most tokens that the model has positions for. RoBERTa's kin leave out those up to the padding's."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings"):
            skipped = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - skipped
    return getattr(model.config, "max_position_embeddings", None)


def _picture(content: Mapping[str, Any], config: Any) -> PictureSettings:
    import transformers

    written = str(content.get("image_processor_type") or content.get("feature_extractor_type"))
    kind = written.removesuffix("Fast").removesuffix("ImageProcessor").removesuffix("FeatureExtractor")
    if kind not in PROCESSORS:
        raise _unknown("image_processor_type", written, f"a processor of: {', '.join(PROCESSORS)}")
    try:
        with quietly():
            # The class knows the defaults of the keys that the file leaves out.
            settings = getattr(transformers, f"{kind}ImageProcessor").from_dict(dict(content)).to_dict()
        return _settings(kind, settings, int(config.num_channels))
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"preprocessor_config.json cannot be read: {first_line(error)}") from error


def _settings(kind: str, settings: Mapping[str, Any], channels: int) -> PictureSettings:
    for key in UNKNOWN_STEPS:
        if settings.get(key):
            raise _unknown(key, settings[key], "resizing, cropping, rescaling and normalising")
    for key in ("do_resize", "do_rescale"):
        if not settings[key]:
            raise _unknown(key, settings[key], "true")
    if not math.isclose(settings["rescale_factor"], 1 / 255, rel_tol=1e-6):
        raise _unknown("rescale_factor", settings["rescale_factor"], "1/255")
    if settings["resample"] not in range(len(RESAMPLE)):
        raise _unknown("resample", settings["resample"], "the number of a filter of Pillow")
    height, width, shorter = _size(kind, settings)
    normalize = settings["do_normalize"]
    return PictureSettings(
        height=height,
        width=width,
        channels=channels,
        mean=_per_channel("image_mean", settings["image_mean"] if normalize else 0.0, channels),
        std=_per_channel("image_std", settings["image_std"] if normalize else 1.0, channels),
        resample=RESAMPLE[settings["resample"]],
        shorter=shorter,
    )


def _size(kind: str, settings: Mapping[str, Any]) -> tuple[int, int, int | None]:
    """Height and width of the model's input, and the shorter side before the centre is taken."""
    size = dict(settings["size"])
    crop = settings["crop_size"] if settings.get("do_center_crop") else None
    if kind == "ConvNext" and set(size) == {"shortest_edge"}:
        edge = int(size["shortest_edge"])
        return edge, edge, None if edge >= CONVNEXT_STRETCHES else int(edge / settings["crop_pct"])
    if set(size) == {"height", "width"}:
        if crop and dict(crop) != size:
            raise _unknown("crop_size", crop, f"the same as size, {size}")
        return int(size["height"]), int(size["width"]), None
    if set(size) != {"shortest_edge"} or not crop:
        raise _unknown("size", size, "height and width, or shortest_edge with do_center_crop")
    edge, height, width = int(size["shortest_edge"]), int(crop["height"]), int(crop["width"])
    if edge < max(height, width):
        raise _unknown("crop_size", crop, f"at most shortest_edge, {edge}")
    return height, width, edge


def _per_channel(key: str, value: Any, channels: int) -> tuple[float, ...]:
    values = (float(value),) * channels if isinstance(value, int | float) else tuple(float(item) for item in value)
    if len(values) != channels:
        raise _unknown(key, list(values), f"one number for each of {channels} channels")
    return values


def _unknown(key: str, value: Any, expected: str) -> ModelError:
    return ModelError(f"preprocessor_config.json says {key}: {value}", expected=f"{key}: {expected}")


def _export(folder: Path, model: Any, task: Task, picture: PictureSettings | None) -> onnx.ModelProto:
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager

    shapes = {}
    if picture is not None:
        # The tracer writes sizes into the graph, so it must see the size that the model will get.
        shapes = {"height": picture.height, "width": picture.width}
        model.config.image_size = (picture.height, picture.width)
    try:
        with quietly(), work_folder() as temporary:
            path = temporary / "model.onnx"
            settings = TasksManager.get_exporter_config_constructor(
                "onnx", model, task=task, library_name="transformers"
            )(model.config)
            export(model, settings, path, opset=OPSET, input_shapes=shapes)
            graph = read_model(path)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"the model in '{folder}' cannot be expressed in ONNX: {first_line(error)}") from error
    if picture is not None:
        shape = next(item for item in graph.graph.input if item.name == PIXELS).type.tensor_type.shape
        for dim, size in zip(shape.dim[1:], (picture.channels, picture.height, picture.width), strict=True):
            dim.dim_value = size
    finished = finished_model(graph, opset=OPSET, static="use an architecture without a fixed batch")
    _compare(folder, model, finished, picture)
    return finished


def _compare(folder: Path, model: Any, graph: onnx.ModelProto, picture: PictureSettings | None) -> None:
    """Refuse a graph that the tracer tied to the example's number of rows or tokens."""
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    inputs: dict[str, Any]
    for rows, tokens in ((1, 5), (3, 8)):
        if picture is not None:
            shape = (rows, picture.channels, picture.height, picture.width)
            inputs = {PIXELS: rng.normal(size=shape).astype(np.float32)}
        else:
            inputs = {item.name: np.ones((rows, tokens), dtype=np.int64) for item in graph.graph.input}
            inputs["input_ids"] = rng.integers(0, model.config.vocab_size, (rows, tokens))
            inputs["attention_mask"][-1, tokens // 2 :] = 0
            inputs |= {name: np.zeros_like(value) for name, value in inputs.items() if name == "token_type_ids"}
        (found,) = session.run(["logits"], inputs)
        with torch.no_grad(), quietly():
            expected = model(**{name: torch.from_numpy(value) for name, value in inputs.items()}).logits.numpy()
        if found.shape != expected.shape or not np.abs(found - expected).max() < TOLERANCE:
            raise ModelError(f"the ONNX graph of '{folder}' does not give the model's logits for {rows} rows")
