"""HistGradientBoostingClassifier -> ONNX: skl2onnx's converter, whose flags protobuf takes as whole numbers only."""

from __future__ import annotations

from typing import Any

import numpy as np

ALIAS = "SklearnHistGradientBoostingClassifier"


def conversion() -> dict[str, dict[type, Any]]:
    """Arguments of `skl2onnx.convert_sklearn` with which it converts such an estimator."""
    from skl2onnx.common._registration import get_converter, get_shape_calculator
    from sklearn.ensemble import HistGradientBoostingClassifier

    convert = get_converter(ALIAS)

    def with_whole_flags(scope: Any, operator: Any, container: Any) -> None:
        convert(scope, operator, _WholeFlags(container))

    return {
        "custom_conversion_functions": {HistGradientBoostingClassifier: with_whole_flags},
        "custom_shape_calculators": {HistGradientBoostingClassifier: get_shape_calculator(ALIAS)},
    }


class _WholeFlags:
    """A container of nodes that takes booleans in lists as 0 and 1."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, kind: str, inputs: Any, outputs: Any, **attributes: Any) -> None:
        """Add a node; see `ModelComponentContainer.add_node`."""
        whole = {name: _whole(value) for name, value in attributes.items()}
        self._container.add_node(kind, inputs, outputs, **whole)


def _whole(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [int(item) if isinstance(item, bool | np.bool_) else item for item in value]
