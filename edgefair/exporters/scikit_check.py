"""Does the ONNX graph of a scikit-learn classifier give its probabilities? A converter may be wrong and say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgefair.errors import ModelError
from edgefair.exporters.conversion import quietly
from edgefair.graphs.as_written import AS_WRITTEN
from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes.models import open_model

# Thresholds of trees part float32 from float64 for some rows: so many may differ by more than rounding.
AGREEING, CLOSE = 0.9, 1e-3


def check_probabilities(model: onnx.ModelProto, estimator: Any, columns: Mapping[str, NDArray[Any]]) -> None:
    """Compare the graph with the estimator on some rows.

    What the estimator itself does not decide (a category that it refuses, columns by name where pandas is missing)
    cannot be compared, and rows with missing values are not: whether a model takes them is asked elsewhere.

    Args:
        model: has the output `probabilities`, and one input for every column, or one for all of them.
        columns: features [rows], numbers or texts, in the order of the training data.

    Raises:
        ModelError: other probabilities for many rows, or a graph that onnxruntime cannot run on them.
    """
    whole = ~np.any([_missing(column) for column in columns.values()], axis=0)
    if not whole.any():
        return
    columns = {name: column[whole] for name, column in columns.items()}
    inputs = [item.name for item in model.graph.input]
    by_name = set(inputs) <= set(columns)
    given: Any
    if by_name:
        try:
            import pandas
        except ImportError:
            return
        given = pandas.DataFrame(dict(columns))
        feeds = {name: columns[name].reshape(-1, 1) for name in inputs}
    else:
        given = np.stack([column.astype(np.float32) for column in columns.values()], axis=1)
        feeds = {inputs[0]: given}
    try:
        with quietly():
            expected = np.asarray(estimator.predict_proba(given))
    except Exception:
        return
    typed = {name: value if value.dtype == object else value.astype(np.float32) for name, value in feeds.items()}
    try:
        found = open_model(model.SerializeToString(), AS_WRITTEN).run(typed, ["probabilities"])["probabilities"]
    except ProbeError as error:
        raise ModelError(
            f"onnxruntime cannot run the graph of the {type(estimator).__name__} on rows that the model "
            f"decides: {error}",
            fix="convert the model yourself and give its .onnx file",
        ) from error
    differences = np.abs(found - expected).max(axis=1)
    if np.mean(differences <= CLOSE) >= AGREEING:
        return
    raise ModelError(
        f"the ONNX graph that skl2onnx made of the {type(estimator).__name__} gives different probabilities "
        f"than the model: in {np.mean(differences > CLOSE):.0%} of {len(differences):,} rows, by up to "
        f"{differences.max():.3g}",
        expected=f"differences below {CLOSE:g}",
        fix="convert the model yourself and give its .onnx file, or train a classifier of another kind",
    )


def _missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows without a value: bool [rows]."""
    return np.array([item is None for item in column]) if column.dtype == object else np.isnan(column)
