"""Which columns a model takes as categories, known before any row is read.

What was text in the rows that trained a model is text in all others, though they may hold nothing but numbers.
"""

from __future__ import annotations

from pathlib import Path

from edgefair.bundle.manifest import is_bundle, open_bundle
from edgefair.config import Config
from edgefair.data.dataset import DataSet, load
from edgefair.probe.formats import format_of
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, TEXT, ModelSpec
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.probe.regular import read_regular
from edgefair.targets.binding import ORT_TYPES


def load_to_judge(config: Config, categories: frozenset[str] = frozenset()) -> DataSet:
    """The audit rows that a model is judged on, and training and validation rows as far as there are any.

    Args:
        categories: columns of text, whatever they hold.

    Raises:
        DataError: see `data.dataset.load`.
    """
    return load(
        config.data,
        base=config.base,
        roles=["audit"],
        optional=("train", "validation"),
        unlabelled="designed",
        categories=categories,
    )


def categories_of(spec: ModelSpec) -> frozenset[str]:
    """The raw features of which a model has a vocabulary."""
    columns = (column for item in spec.inputs for column in item.columns)
    return frozenset(column.name for column in columns if column.vocabulary is not None)


def categories_of_run(config: Config, name: str) -> frozenset[str]:
    """As `categories_of`, of a finished training run; none without PyTorch.

    Raises:
        UsageError, ModelError: there is no such run, or it cannot be read.
    """
    try:
        from edgefair.training.run import load_run
    except ImportError:
        return frozenset()
    return categories_of(load_run(config.run_path(name)).spec)


def categories_in(path: Path) -> frozenset[str]:
    """As `categories_of`, of a bundle or a model file: by the spec that it carries, else the inputs that take text.

    What cannot be read has none here: who loads the model says what is wrong with it.
    """
    try:
        content = read_regular(open_bundle(path).model if is_bundle(path) else path)
        file = format_of(content).read(content)
        text = file.metadata.get(SPEC_METADATA_KEY)
        if text is not None:
            return categories_of(spec_from_json(text))
    except (OSError, ValueError):
        return frozenset()
    return frozenset(item["name"] for item in file.inputs if item["type"] == ORT_TYPES[TEXT])
