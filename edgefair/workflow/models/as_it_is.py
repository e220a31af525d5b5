"""Files that were made for one runtime: nothing is converted, and what they lack of a spec is put behind the model."""

from __future__ import annotations

from pathlib import Path

from edgefair.config import Config
from edgefair.data.dataset import DataSet
from edgefair.files import sha256_file, shown
from edgefair.probe.formats import format_of
from edgefair.probe.formats.appended import appended, with_appended
from edgefair.probe.formats.onnx import FORMAT as ONNX
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY
from edgefair.targets import LoadedModel
from edgefair.targets.loaded import read_model
from edgefair.workflow.models.infer_spec import foreign_spec
from edgefair.workflow.models.reference import Reference
from edgefair.workflow.models.spec import spec_of


def is_for_a_runtime(path: Path) -> bool:
    """Whether a file is there that is in another format than ONNX."""
    try:
        with path.open("rb") as stream:
            return format_of(stream.read(64)) is not ONNX
    except OSError:
        return False


def with_spec(config: Config, data: DataSet, path: Path, *, to: Path) -> Reference:
    """Write such a file with the spec that it is fed and read by, under one digest; as it is where it carries one.

    Raises:
        ModelError: it is not a model, or nothing says how it is fed.
    """
    content = read_model(path)
    model = LoadedModel.unloaded(content, path=path)
    spec = spec_of(model, lambda found: foreign_spec(found, data, config.model), data.classes)
    if SPEC_METADATA_KEY not in model.metadata:
        content = with_appended(content, {**appended(content), SPEC_METADATA_KEY: spec.to_json()})
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(content)
    return Reference(spec, to, {"model": shown(path, config.base), "files": {path.name: sha256_file(path)}})
