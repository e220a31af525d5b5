"""The spec of a model file: read, and compared with its graph and with the data."""

from __future__ import annotations

from collections.abc import Callable

from edgefair.errors import ModelError
from edgefair.probe.features import plain_text
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, ModelSpec
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.targets import LoadedModel
from edgefair.targets.binding import check_binding

# Makes the spec of a model file that carries none.
Fallback = Callable[[LoadedModel], ModelSpec]


def spec_of(model: LoadedModel, fallback: Fallback, classes: tuple[str, ...]) -> ModelSpec:
    """The spec in the file's metadata, else the fallback; checked against the graph and the data.

    Args:
        classes: of the data, in the order of the model's.

    Raises:
        ModelError: no spec, an unreadable one, or one that the graph or the data does not fit.
    """
    text = model.metadata.get(SPEC_METADATA_KEY)
    if text is not None:
        try:
            spec = spec_from_json(text)
        except ValueError as error:
            raise ModelError(f"'{model.path}' carries a spec that cannot be read: {error}") from error
    else:
        spec = fallback(model)
    check_classes(str(model.path), spec.classes, classes)
    check_binding(model, spec)
    return spec


def check_classes(name: str, found: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """The model's k-th class must be the data's k-th: a device answers with the model's names.

    Raises:
        ModelError: other names, or the same names in another order.
    """
    if tuple(map(plain_text, found)) == expected:
        return
    raise ModelError(
        f"'{name}' has the classes {', '.join(found)} and the data {', '.join(expected)}",
        expected="the same classes in the same order: else every decision would be read as another",
        fix=f"set data.classes: [{', '.join(found)}]"
        if set(map(plain_text, found)) == set(expected)
        else "rename the values with data.merge, and list data.classes in the model's order",
    )
