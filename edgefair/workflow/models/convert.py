"""Models that users already have, as one FP32 ONNX file that says how it is fed and read."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.data.files.lazy import LazyColumn
from edgefair.data.files.readers import READERS
from edgefair.data.files.table import Categories
from edgefair.data.texts import Texts
from edgefair.errors import ModelError, UsageError, missing_extra
from edgefair.files import sha256_file, shown
from edgefair.graphs.as_written import AS_WRITTEN
from edgefair.mistakes import first_mistake
from edgefair.probe.errors import ProbeError
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.probe.regular import read_regular
from edgefair.probe.runtimes.models import open_model
from edgefair.progress import Progress, timed
from edgefair.targets import LoadedModel
from edgefair.targets.loaded import UnlikeFileError
from edgefair.targets.loaded import read_model as read_whole
from edgefair.training.factories import call_factory
from edgefair.training.settings import ModelConfig, OutputConfig, PictureConfig
from edgefair.workflow.models.infer_spec import foreign_spec
from edgefair.workflow.models.reference import Reference
from edgefair.workflow.models.spec import check_classes, spec_of

if TYPE_CHECKING:
    import onnx

HUGGING_FACE = "hf:"
SUFFIXES = (".onnx", ".pt2", ".skops")
KINDS = f"a {', '.join(SUFFIXES)} file, hf:FOLDER, or package.module:factory"
JUDGED_ONLY = "files that were made for a runtime (.tflite, .pte) stay as they are: `edgefair verify`, `export`"
# Rows on which a converted model is compared with the one that it was made from.
COMPARED_ROWS = 500


@dataclass(frozen=True)
class _Converted:
    """A graph and what is known of it beyond its file."""

    graph: onnx.ModelProto
    config: ModelConfig
    labels: tuple[str, ...] | None = None
    # Files whose bytes made the graph, in or below the folder of the first.
    files: tuple[Path, ...] = ()

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by its path from the folder of the first."""
        return {path.relative_to(self.files[0].parent).as_posix(): sha256_file(path) for path in self.files}


def names_foreign_model(name: str) -> bool:
    """Whether a name is that of a model to convert, rather than a bundle or an .onnx file."""
    if name.startswith(HUGGING_FACE) or Path(name).suffix in SUFFIXES[1:]:
        return True
    return ":" in name and not Path(name).exists()


def names_factory(name: str) -> bool:
    """Whether a name is that of a function, whose module gets its weights from a file of its own."""
    path = Path(name)
    foreign = names_foreign_model(name)
    return foreign and not name.startswith(HUGGING_FACE) and path.suffix not in SUFFIXES


def check_no_rows(path: Path) -> None:
    """Refuse a table where a model is asked for.

    Raises:
        ModelError: the file's name is that of a table.
    """
    if path.suffix.lower() in READERS and path.is_file():
        raise ModelError(
            f"'{path}' holds rows, not a model",
            expected=f"a bundle, or {KINDS}",
            fix=f"pass the model as the argument, and the rows with --data {shlex.quote(str(path))}",
        )


@timed("converting to ONNX")
def convert_model(
    config: Config, data: DataSet, name: str, *, weights: Path | None, to: Path, progress: Progress
) -> Reference:
    """Convert a model to the FP32 ONNX file `to`. Nothing is unpickled.

    Args:
        name: a file or name, as `KINDS` says; a factory returns a torch module or a fitted scikit-learn classifier.
        weights: of the module that a factory makes: `.safetensors`, or a `.pt` that holds only a state dict.

    Raises:
        UsageError: a name of no known kind, a missing package.
        ModelError: a model that cannot be converted, or does not fit the data.
    """
    import onnx

    from edgefair.graphs.byte_casts import widen_byte_casts
    from edgefair.graphs.metadata import set_spec

    progress.stage("converting to ONNX")
    made = _converted(config, data, name, weights)
    widen_byte_casts(made.graph)
    if made.labels is not None:
        _check_labels(name, made.labels, data.classes)
    to.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(made.graph, to)
    loaded = _described(to, name)
    spec = spec_of(loaded, lambda found: foreign_spec(found, data, made.config), data.classes)
    set_spec(made.graph, spec)
    onnx.save_model(made.graph, to)
    return Reference(spec, to, {"model": _shown(config, name), "files": made.digests()})


def _shown(config: Config, name: str) -> str:
    prefix = HUGGING_FACE if name.startswith(HUGGING_FACE) else ""
    return prefix + shown(name.removeprefix(prefix), config.base)


def spec_here(config: Config, data: DataSet, path: Path) -> ModelSpec:
    """How an .onnx file is fed and read, as it says itself; a shape that it leaves open is worked out by onnxruntime.

    Raises:
        ModelError: it is not a model, or nothing says how it is fed.
    """
    model = LoadedModel.unloaded(read_whole(path), path=path)
    shapes = [item["shape"] for item in (*model.inputs, *model.outputs)]
    loaded = _described(path, str(path)) if None in shapes else model
    return spec_of(loaded, lambda found: foreign_spec(found, data, config.model), data.classes)


def _converted(config: Config, data: DataSet, name: str, weights: Path | None) -> _Converted:
    path = Path(name)
    if weights is not None and path.suffix in SUFFIXES:
        raise UsageError(f"'{name}' contains its weights", fix="omit --weights")
    if path.suffix == ".onnx":
        from edgefair.exporters.checked import read_model
        from edgefair.graphs.external import external_files

        return _Converted(read_model(path), config.model, files=(path, *external_files(path)))
    try:
        if name.startswith(HUGGING_FACE):
            return _hugging_face(config.model, data, Path(name.removeprefix(HUGGING_FACE)))
        if path.suffix == ".pt2":
            from edgefair.exporters.pt2 import from_pt2

            return _Converted(from_pt2(path), config.model, files=(path,))
        if path.suffix == ".skops":
            from edgefair.exporters.scikit import read_skops

            return _scikit(config.model, data, read_skops(path, trusted=config.model.trust), files=(path,))
        if ":" in name:
            return _factory(config.model, data, name, weights)
    except ImportError as error:
        raise missing_extra("this model", "torch", error) from error
    raise UsageError(f"'{name}' has an unsupported model format", expected=KINDS, fix=JUDGED_ONLY)


def _hugging_face(model: ModelConfig, data: DataSet, folder: Path) -> _Converted:
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
    return _Converted(hub.model, model.model_copy(update=update), hub.labels, weights)


def _picture_config(folder: Path, settings: dict[str, Any]) -> PictureConfig:
    try:
        return PictureConfig(**settings)
    except ValidationError as error:
        first = first_mistake(error)
        raise ModelError(
            f"the preprocessing of '{folder}' cannot be reproduced on a device: {first.key} is {first.found!r}",
            expected=first.why,
        ) from error


def _factory(model: ModelConfig, data: DataSet, name: str, weights: Path | None) -> _Converted:
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
    return _Converted(export_network(made, (example,), (input_name,)), model, files=(weights,))


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


def _scikit(model: ModelConfig, data: DataSet, estimator: Any, *, files: tuple[Path, ...]) -> _Converted:
    from edgefair.exporters.scikit import from_estimator
    from edgefair.exporters.scikit_check import check_probabilities

    columns = next(iter(data.splits.values())).table.columns
    kinds = [(name, "text" if isinstance(columns[name], Categories) else "number") for name in data.features]
    graph = from_estimator(estimator, kinds)  # type: ignore[arg-type]
    check_probabilities(graph, estimator, _some_cells(data))
    output = model.output or OutputConfig(name="probabilities", kind="probabilities")
    labels = tuple(str(label) for label in estimator.classes_)
    return _Converted(graph, model.model_copy(update={"output": output}), labels, files)


def _some_cells(data: DataSet) -> dict[str, NDArray[Any]]:
    """The features of some rows: numbers as they are, texts as objects."""
    rows = next(rows for rows in data.splits.values() if len(rows))
    some = rows.take(np.linspace(0, len(rows) - 1, min(COMPARED_ROWS, len(rows))).astype(np.int64)).table.columns
    cells = {name: some[name] for name in data.features}
    return {
        name: np.array(column.text(), dtype=object) if isinstance(column, Categories) else np.asarray(column)
        for name, column in cells.items()
    }


def _check_labels(name: str, labels: tuple[str, ...], classes: tuple[str, ...]) -> None:
    """The model's k-th class must be the data's k-th class; a model without names is taken at its number of classes.

    Raises:
        ModelError: other names, or the same names in another order.
    """
    unnamed = [tuple(pattern.format(k) for k in range(len(classes))) for pattern in ("{}", "LABEL_{}")]
    if labels in unnamed and set(labels) != set(classes):
        return
    check_classes(name, labels, classes)


def _described(path: Path, name: str) -> LoadedModel:
    """A file that onnxruntime here can load, as it describes itself."""
    try:
        content = read_regular(path)
        return LoadedModel.of(content, open_model(content, AS_WRITTEN).describe(), name="model", path=Path(name))
    except OSError as error:
        raise ModelError(f"'{name}' cannot be read: {error.strerror}") from error
    except (ProbeError, UnlikeFileError, ValueError) as error:
        raise ModelError(f"'{name}' cannot be loaded by onnxruntime: {error}") from error
