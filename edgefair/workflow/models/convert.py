"""Models that users already have, as one FP32 ONNX file that says how it is fed and read."""

from __future__ import annotations

import pkgutil
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.data.files.readers import READERS
from edgefair.errors import ModelError, UsageError, missing_extra
from edgefair.files import shown
from edgefair.graphs.as_written import AS_WRITTEN
from edgefair.probe.errors import ProbeError
from edgefair.probe.onnx_files.spec import ModelSpec
from edgefair.probe.regular import read_regular
from edgefair.probe.runtimes.models import open_model
from edgefair.progress import Progress, timed
from edgefair.targets import LoadedModel
from edgefair.targets.loaded import UnlikeFileError
from edgefair.targets.loaded import read_model as read_whole
from edgefair.workflow.models.infer_spec import foreign_spec
from edgefair.workflow.models.intake import Converted, from_factory, from_hub
from edgefair.workflow.models.kinds import HUGGING_FACE, KINDS, SUFFIXES
from edgefair.workflow.models.reference import Reference
from edgefair.workflow.models.spec import check_classes, spec_of

if TYPE_CHECKING:
    pass

JUDGED_ONLY = "files that were made for a runtime (.tflite, .pte) stay as they are: `edgefair verify`, `export`"


def names_foreign_model(name: str) -> bool:
    """Whether a name is that of a model to convert, rather than a bundle or an .onnx file."""
    if name.startswith(HUGGING_FACE) or Path(name).suffix in SUFFIXES.keys() - {".onnx"}:
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


def _converted(config: Config, data: DataSet, name: str, weights: Path | None) -> Converted:
    path = Path(name)
    if weights is not None and path.suffix in SUFFIXES:
        raise UsageError(f"'{name}' contains its weights", fix="omit --weights")
    try:
        if name.startswith(HUGGING_FACE):
            return from_hub(config.model, data, Path(name.removeprefix(HUGGING_FACE)))
        if path.suffix in SUFFIXES:
            made: Converted = pkgutil.resolve_name(SUFFIXES[path.suffix])(path, config.model, data)
            return made
        if ":" in name:
            return from_factory(config.model, data, name, weights)
    except ImportError as error:
        raise missing_extra("this model", "torch", error) from error
    raise UsageError(f"'{name}' has an unsupported model format", expected=KINDS, fix=JUDGED_ONLY)


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
