"""A classifier saved by transformers' save_pretrained -> one checked FP32 ONNX graph, and how to feed it.

Everything is read from the folder: no network, no code of the model's own, no pickled weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from edgefair.errors import ModelError, missing_extra
from edgefair.exporters.conversion import first_line, quietly
from edgefair.exporters.hub_graphs import Task, graph_of
from edgefair.exporters.hub_pictures import PictureSettings, picture_feed
from edgefair.exporters.hub_texts import text_feed
from edgefair.probe.regular import read_regular

SAVE_SAFE = "save it with model.save_pretrained(..., safe_serialization=True)"
# How the name of an architecture ends, without the teacher that some are distilled from.
TASKS: Mapping[str, Task] = {
    "ForImageClassification": "image-classification",
    "ForSequenceClassification": "text-classification",
}
TEACHER = "WithTeacher"
# Of a file of settings; id2label of 20,000 classes has 1 MB.
MAX_JSON_BYTES = 1 << 24


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

    What cannot be judged is refused before anything is converted.

    Raises:
        UsageError: transformers is not installed.
        ModelError: a file missing or corrupt; pickled weights; a model with code of its own; not a classifier of one
            label out of several; preprocessing that the settings cannot express; a text model that padding misleads;
            or a graph that differs from torch.
        DataError: a tokenizer without a padding token.
    """
    content = _read_json(folder / "config.json", "a folder that save_pretrained wrote")
    task = _task(folder, content)
    _check_weights(folder)
    pictures = task == "image-classification"
    preprocessor = (
        _read_json(folder / "preprocessor_config.json", "the settings that AutoImageProcessor.save_pretrained writes")
        if pictures
        else {}
    )
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise missing_extra("a Hugging Face model", "networks", error) from error
    config = _config(folder)
    labels = _labels(folder, config)
    if pictures:
        picture = picture_feed(preprocessor, config)
        graph = graph_of(folder, _load(folder, task), picture)
        return HubModel(graph, task, labels, picture.settings, None, None)
    model = _load(folder, task)
    text = text_feed(folder, model, _tokenizer_settings(folder))
    return HubModel(graph_of(folder, model, text), task, labels, None, text.tokenizer, text.length)


def _tokenizer_settings(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    return _read_json(path, "the tokenizer's settings") if path.is_file() else {}


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
        raise ModelError(f"'{folder}' is already quantized (quantization_config)", expected="the FP32 model")
    if str(config.get("problem_type")) in {"regression", "multi_label_classification"}:
        raise ModelError(
            f"'{folder}' is a {config['problem_type']} model (problem_type)", expected="one label out of several"
        )
    said = config.get("architectures")
    architectures = said if isinstance(said, list) and said else ["unknown"]
    for ending, task in TASKS.items():
        if str(architectures[0]).removesuffix(TEACHER).endswith(ending):
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


def _config(folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        with quietly():
            return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise ModelError(f"config.json in '{folder}' cannot be loaded: {first_line(error)}") from error


def _load(folder: Path, task: Task) -> Any:
    import torch
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    from edgefair.training.networks.hugging_face import check_loaded

    kind = AutoModelForImageClassification if task == "image-classification" else AutoModelForSequenceClassification
    try:
        with quietly():
            model, report = kind.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                attn_implementation="eager",
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:
        raise ModelError(f"the model in '{folder}' cannot be loaded: {first_line(error)}") from error
    check_loaded(model, report, folder)
    return model.eval()


def _labels(folder: Path, config: Any) -> tuple[str, ...]:
    names = {int(index): str(label) for index, label in config.id2label.items()}
    labels = tuple(names[index] for index in sorted(names))
    if sorted(names) != list(range(len(names))) or len(set(labels)) != len(labels) or len(labels) < 2:
        raise ModelError(f"id2label in '{folder}' is {names}", expected="a different name for each of 0, 1, 2, ...")
    return labels
