"""How each kind of model that users already have becomes a graph."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edgefair.data.dataset import DataSet
from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.table import Categories
from edgefair.data.texts import Texts
from edgefair.errors import ModelError, UsageError
from edgefair.files import sha256_file
from edgefair.mistakes import first_mistake
from edgefair.training.factories import call_factory
from edgefair.training.settings import ModelConfig, OutputConfig, PictureConfig

if TYPE_CHECKING:
    import onnx

# Rows on which a converted model is compared with the one that it was made from.
COMPARED_ROWS = 500


@dataclass(frozen=True)
class Converted:
    """A graph and what is known of it beyond its file."""

    graph: onnx.ModelProto
    config: ModelConfig
    labels: tuple[str, ...] | None = None
    # Files whose bytes made the graph, in or below the folder of the first.
    files: tuple[Path, ...] = ()

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by its path from the folder of the first."""
        return {path.relative_to(self.files[0].parent).as_posix(): sha256_file(path) for path in self.files}


def from_onnx(path: Path, model: ModelConfig, _: DataSet) -> Converted:
    """An .onnx file as it is."""
    from edgefair.exporters.checked import read_model
    from edgefair.graphs.external import external_files

    return Converted(read_model(path), model, files=(path, *external_files(path)))


def from_program(path: Path, model: ModelConfig, _: DataSet) -> Converted:
    """A program of torch.export."""
    from edgefair.exporters.pt2 import from_pt2

    return Converted(from_pt2(path), model, files=(path,))


def from_skops(path: Path, model: ModelConfig, data: DataSet) -> Converted:
    """A fitted scikit-learn classifier."""
    from edgefair.exporters.scikit import read_skops

    return _scikit(model, data, read_skops(path, trusted=model.trust), files=(path,))


def from_hub(model: ModelConfig, data: DataSet, folder: Path) -> Converted:
    """A folder that `save_pretrained` wrote."""
    from edgefair.exporters.hugging_face import from_hugging_face

    hub = from_hugging_face(folder)
    column = next(iter(data.splits.values())).table.columns[data.features[0]]
    holds = column.kind if isinstance(column, LazyColumn) else "a table"
    if holds != {"image-classification": "pictures", "text-classification": "texts"}[hub.task]:
        raise ModelError(f"'{folder}' is a model for {hub.task}, and the data holds {holds}")
    update: dict[str, Any] = {"output": model.output or OutputConfig(name="logits", kind="logits")}
    if hub.picture is not None:
        update["picture"] = _picture_config(folder, asdict(hub.picture))
    if isinstance(column, Texts) and hub.tokenizer is not None:
        digest = sha256_file(hub.tokenizer)
        if digest != column.tokenizer.sha256:
            raise ModelError(
                f"the tokenizer of '{folder}' (sha256 {digest[:12]}...) differs from that of data.tokenizer",
                expected=f"sha256 {column.tokenizer.sha256[:12]}..., '{column.tokenizer.path}'",
                fix=f"set data.tokenizer: {folder}",
            )
        length = hub.length or model.text_length
        if "text_length" in model.model_fields_set and model.text_length > length:
            raise ModelError(
                f"model.text_length is {model.text_length}", expected=f"at most {length}, as the model has"
            )
        update["text_length"] = min(model.text_length, length)
    weights = tuple(sorted(folder.glob("*.safetensors")))
    return Converted(hub.model, model.model_copy(update=update), hub.labels, weights)


def _picture_config(folder: Path, settings: dict[str, Any]) -> PictureConfig:
    try:
        return PictureConfig(**settings)
    except ValidationError as error:
        first = first_mistake(error)
        raise ModelError(
            f"the preprocessing of '{folder}' cannot be reproduced on a device: {first.key} is {first.found!r}",
            expected=first.why,
        ) from error


def from_factory(model: ModelConfig, data: DataSet, name: str, weights: Path | None) -> Converted:
    """What a function makes: a torch module, whose weights lie in a file, or a fitted scikit-learn classifier."""
    input_name, shape, dtype = _input(model, data)
    facts: dict[str, Any] = {"features": shape, "classes": len(data.classes)}
    column = next(iter(data.splits.values())).table.columns[data.features[0]]
    if isinstance(column, Texts):
        facts |= {"vocabulary": column.tokenizer.vocabulary, "pad": column.tokenizer.pad}
    made = call_factory(name, _options(model, name), facts=facts)
    if not _is_torch(made):
        return _scikit(model, data, made, files=())
    import torch

    from edgefair.exporters.factory import export_network
    from edgefair.training.checkpoint import load_weights

    if weights is None:
        raise UsageError(f"'{name}' makes a torch module, and no weights are given", fix="give --weights")
    load_weights(weights, made)
    example = torch.zeros((2, *shape), dtype=getattr(torch, dtype))
    return Converted(export_network(made, (example,), (input_name,)), model, files=(weights,))


def _options(model: ModelConfig, name: str) -> dict[str, Any]:
    """The options of a factory: those of the config, unless the config says that they are another network's."""
    other = "network" in model.model_fields_set and model.network != name
    return {} if other else model.options


def _is_torch(made: Any) -> bool:
    """Whether a factory made a torch module; where torch was never imported, it did not."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(made, torch.nn.Module)


def _input(model: ModelConfig, data: DataSet) -> tuple[str, tuple[int, ...], str]:
    """Name, shape of one row and type of the input that a torch module takes for this data."""
    rows = next(iter(data.splits.values()))
    column = rows.table.columns[data.features[0]]
    if isinstance(column, Texts):
        return "input_ids", (model.text_length,), "int64"
    if isinstance(column, LazyColumn):
        return "picture", (model.picture.channels, model.picture.height, model.picture.width), "float32"
    if len(data.features) == 1 and not isinstance(column, Categories) and column.ndim > 1:
        return data.features[0], tuple(column.shape[1:]), "float32"
    return "features", (len(data.features),), "float32"


def _scikit(model: ModelConfig, data: DataSet, estimator: Any, *, files: tuple[Path, ...]) -> Converted:
    from edgefair.exporters.scikit import from_estimator
    from edgefair.exporters.scikit_check import check_probabilities

    columns = next(iter(data.splits.values())).table.columns
    kinds = [(name, "text" if isinstance(columns[name], Categories) else "number") for name in data.features]
    graph = from_estimator(estimator, kinds)  # type: ignore[arg-type]
    check_probabilities(graph, estimator, _some_cells(data))
    output = model.output or OutputConfig(name="probabilities", kind="probabilities")
    labels = tuple(str(label) for label in estimator.classes_)
    return Converted(graph, model.model_copy(update={"output": output}), labels, files)


def _some_cells(data: DataSet) -> dict[str, NDArray[Any]]:
    """The features of some rows: numbers as they are, texts as objects."""
    rows = next(rows for rows in data.splits.values() if len(rows))
    some = rows.take(np.linspace(0, len(rows) - 1, min(COMPARED_ROWS, len(rows))).astype(np.int64)).table.columns
    cells = {name: some[name] for name in data.features}
    return {
        name: np.array(column.text(), dtype=object) if isinstance(column, Categories) else np.asarray(column)
        for name, column in cells.items()
    }
