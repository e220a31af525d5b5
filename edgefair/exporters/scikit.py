"""A fitted scikit-learn classifier -> one checked FP32 ONNX graph; and `.skops` files."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal

import onnx
from onnx import version_converter

from edgefair.errors import ModelError, did_you_mean, missing_extra
from edgefair.exporters.conversion import OPSET, finished_model, first_line, quietly
from edgefair.exporters.hist_boosting import conversion

MATRIX = "X"
PICKLED = {".pkl", ".pickle", ".joblib"}
# skl2onnx declares the oldest opset whose operators it used; INT8 needs 13.
LEAST_OPSET = 13
# The classifiers that are known to become graphs of the same probabilities.
CONVERTED = (
    "AdaBoostClassifier",
    "BaggingClassifier",
    "BernoulliNB",
    "CalibratedClassifierCV",
    "DecisionTreeClassifier",
    "ExtraTreesClassifier",
    "GaussianNB",
    "GradientBoostingClassifier",
    "HistGradientBoostingClassifier",
    "KNeighborsClassifier",
    "LogisticRegression",
    "MLPClassifier",
    "RandomForestClassifier",
)
# Compiled types of scikit-learn itself, which skops fills with arrays and numbers: no code that a file brings runs.
HARMLESS = frozenset(
    {
        "sklearn._loss._loss.CyExponentialLoss",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.ExponentialLoss",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.metrics._dist_metrics.EuclideanDistance",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._ball_tree.BallTree64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neighbors._kd_tree.KDTree64",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
    }
)


def from_estimator(estimator: Any, columns: Sequence[tuple[str, Literal["number", "text"]]]) -> onnx.ModelProto:
    """Convert a fitted classifier, or a Pipeline that ends in one.

    Args:
        estimator: it needs predict_proba.
        columns: the features, in the order of its training data.

    Returns:
        A graph with the outputs `label` [rows] and `probabilities` float32 [rows, classes]. Where a ColumnTransformer
        selects columns by name, it has one input [rows, 1] per column, float32 or text; otherwise the one input `X`
        float32 [rows, columns].

    Raises:
        UsageError: skl2onnx is not installed.
        ModelError: not a fitted classifier, other columns than it was fitted with, or nothing that ONNX can express.
    """
    try:
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType, StringTensorType
        from sklearn.base import is_classifier
        from sklearn.exceptions import NotFittedError
        from sklearn.utils.validation import check_is_fitted
    except ImportError as error:
        raise missing_extra("a scikit-learn model", "sklearn", error) from error
    kind = type(estimator).__name__
    if not is_classifier(estimator) or not hasattr(estimator, "predict_proba"):
        raise ModelError(f"a {kind} gives no probabilities of classes", expected="a classifier with predict_proba")
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise ModelError(f"the {kind} is not fitted", fix="call fit before saving it") from error
    selected = _selected_by_name(estimator)
    if selected is None:
        _check_matrix(estimator, columns)
        inputs = [(MATRIX, FloatTensorType([None, len(columns)]))]
    else:
        _check_names(selected, columns)
        types = {"number": FloatTensorType, "text": StringTensorType}
        inputs = [(name, types[column]([None, 1])) for name, column in columns]
    try:
        with quietly():
            model: onnx.ModelProto = convert_sklearn(
                estimator,
                name=kind,
                initial_types=inputs,
                options={id(estimator): {"zipmap": False}},
                target_opset=OPSET,
                **conversion(),
            )
            if any(item.domain == "" and item.version < LEAST_OPSET for item in model.opset_import):
                model = version_converter.convert_version(model, OPSET)
    except Exception as error:
        raise ModelError(
            f"the {kind} cannot be expressed in ONNX: {first_line(error.__cause__ or error)}",
            expected=f"transformers that skl2onnx knows, and one of {', '.join(CONVERTED)}",
            fix="train one of these, or convert the model yourself and give its .onnx file",
        ) from error
    return finished_model(model, static="use a classifier with one label per row")


def _selected_by_name(estimator: Any) -> list[str] | None:
    """The columns that the first step, a ColumnTransformer, selects by name; None where it does not."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    first = estimator.steps[0][1] if isinstance(estimator, Pipeline) else None
    if not isinstance(first, ColumnTransformer):
        return None
    names: list[str] = []
    for name, _, chosen in first.transformers_:
        if name == "remainder":
            continue
        items: list[Any] = [chosen] if isinstance(chosen, str | slice) else list(chosen)
        if not all(isinstance(item, str) for item in items):
            return None
        names += items
    return names


def _check_matrix(estimator: Any, columns: Sequence[tuple[str, str]]) -> None:
    texts = [name for name, kind in columns if kind == "text"]
    if texts:
        raise ModelError(
            f"column '{texts[0]}' is text and the model takes one matrix of numbers",
            fix="begin the Pipeline with a ColumnTransformer that selects its columns by name",
        )
    names = [name for name, _ in columns]
    fitted = list(getattr(estimator, "feature_names_in_", names))
    if fitted != names or estimator.n_features_in_ != len(names):
        expected = fitted if fitted != names else f"{estimator.n_features_in_} columns"
        raise ModelError(f"the columns are {names}", expected=f"{expected}, as the model was fitted")


def _check_names(selected: Sequence[str], columns: Sequence[tuple[str, str]]) -> None:
    known = [name for name, _ in columns]
    for name in selected:
        if name not in known:
            raise ModelError(
                f"the model takes column '{name}', which the data does not have{did_you_mean(name, known)}",
                expected=f"among: {', '.join(known)}",
            )


def read_skops(path: Path, *, trusted: Collection[str] = ()) -> Any:
    """The object of a `.skops` file, made only of types that skops trusts, of `HARMLESS` ones, and of those named.

    Args:
        trusted: full names of types that the user trusts, importable from the current folder: their code runs.

    Raises:
        UsageError: skops is not installed.
        ModelError: missing, unreadable, pickled, or with other types.
    """
    try:
        import skops.io
    except ImportError as error:
        raise missing_extra("a .skops file", "sklearn", error) from error
    if not path.is_file():
        raise ModelError(f"no file '{path}'", expected="a .skops file")
    if not zipfile.is_zipfile(path):
        if path.suffix in PICKLED or path.read_bytes()[:1] == b"\x80":
            raise ModelError(
                f"'{path}' is pickled, and pickled objects are never loaded",
                expected="a .skops file",
                fix="save the model with skops.io.dump(model, 'model.skops')",
            )
        raise ModelError(
            f"'{path}' is not a .skops file", fix="save the model with skops.io.dump(model, 'model.skops')"
        )
    try:
        with quietly():
            found = skops.io.get_untrusted_types(file=path)
            untrusted = set(found) - HARMLESS - set(trusted)
            if not untrusted:
                if trusted and str(Path.cwd()) not in sys.path:
                    sys.path.insert(0, str(Path.cwd()))
                return skops.io.load(path, trusted=found)
    except Exception as error:
        raise ModelError(f"'{path}' is not a readable .skops file: {first_line(error)}") from error
    raise ModelError(
        f"'{path}' holds types that are not trusted: {', '.join(sorted(untrusted))}",
        expected="types of scikit-learn and numpy that hold numbers and run no code from the file",
        fix="if you trust their source, list them under model.trust: loading the file runs their code",
    )
