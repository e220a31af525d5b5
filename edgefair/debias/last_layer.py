"""Deep feature reweighting: a new last layer on the compressed backbone."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgefair.debias.post import Answers, Judge, PostMethod
from edgefair.errors import DataError, ModelError, UsageError, missing_extra
from edgefair.graphs.editor import Editor, decision_by_threshold, decision_by_weights

if TYPE_CHECKING:
    import onnx

    from edgefair.probe.onnx_files.spec import ModelSpec

# Inverse strengths of the L1 penalty that are tried, as in the paper.
STRENGTHS = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
CELL_ROWS = 10
# A cell gives at most this many rows to one fit: more does not move a linear layer, and takes long.
MOST_ROWS = 2000

Array = NDArray[np.float64]


class LastLayer(PostMethod):
    """Keep the features, refit the last linear layer on equally many rows of every (group, label) cell.

    Features of the compressed model on the validation rows are standardized; L1 logistic regressions are fitted on
    `fits` random subsets with the same number of rows from every cell, and averaged; C is chosen on the other half of
    the rows (Kirichenko, Izmailov & Wilson, "Last layer re-training is sufficient for robustness to spurious
    correlations", ICLR 2023). The new layer takes the old one's place in the graph, in float: nothing is added.
    Where it is not better than the old one on the held-out half, the old one stays.
    """

    def __init__(self, *, fits: int = 10) -> None:
        if fits < 1:
            raise UsageError(f"last-layer: fits is {fits}", expected="at least 1")
        self.fits = fits

    def apply(
        self, model: onnx.ModelProto, spec: ModelSpec, answers: Answers, judge: Judge
    ) -> tuple[onnx.ModelProto, ModelSpec, dict[str, object]]:
        """See `PostMethod`. The choice is `C`, or `kept: old`."""
        _check_cells(judge)
        editor = Editor(model, spec)
        layer, old_score = editor.last_layer(), editor.score()
        features, old = answers(editor.exposed([layer.features, old_score]), [layer.features, old_score])
        if features.ndim != 2:
            raise ModelError(f"the last layer reads {features.ndim - 1} dimensions per row", expected="one vector")
        x = features.astype(np.float64)
        rng = np.random.default_rng(judge.seed)
        half = _half(judge.cell, rng)
        fitted, held = np.flatnonzero(half), np.flatnonzero(~half)
        classes = len(spec.classes)
        ranks = {}
        for strength in STRENGTHS:
            weight, bias = _fit(x[fitted], judge.label[fitted], judge.cell[fitted], classes, strength, 1, rng)
            ranks[strength] = judge.worth((x[held] @ weight.T + bias).argmax(axis=1), held).rank
        chosen = max(STRENGTHS, key=lambda strength: ranks[strength])
        threshold = spec.reading.threshold
        before = old.argmax(axis=1) if threshold is None else (old[:, 1] >= threshold).astype(np.int64)
        if ranks[chosen] <= judge.worth(before[held], held).rank:
            return model, spec, {"kept": "old", "why": "a new layer was not better on held-out validation rows"}
        weight, bias = _fit(x, judge.label, judge.cell, classes, chosen, self.fits, rng)
        logits = editor.add(
            "Gemm",
            [
                layer.features,
                editor.constant(weight.astype(np.float32)),
                editor.constant(bias.astype(np.float32)),
            ],
            transB=1,
        )
        score = editor.add("Softmax", [logits], axis=1)
        if classes == 2:
            decision, at = decision_by_threshold(editor, score, 0.5), 0.5
        else:
            decision, at = decision_by_weights(editor, score, np.ones(classes, dtype=np.float32)), None
        return *editor.finished(decision, score, at), {"C": chosen, "fits": self.fits, "rows": len(x)}


def _check_cells(judge: Judge) -> None:
    for index, name in enumerate(judge.cells):
        rows = int((judge.cell == index).sum())
        if rows < CELL_ROWS:
            raise DataError(
                f"last-layer: the validation rows hold {rows} rows of {name}",
                expected=f"at least {CELL_ROWS} in every (group, label) cell: it takes equally many from each",
                fix="hold out more validation rows (data.validation), or remove last-layer from debias.post",
            )


def _half(cell: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A random half of the rows of every cell, bool [rows]."""
    chosen = np.zeros(len(cell), dtype=bool)
    for index in np.unique(cell):
        rows = rng.permutation(np.flatnonzero(cell == index))
        chosen[rows[: len(rows) // 2]] = True
    return chosen


def _fit(
    x: Array,
    label: NDArray[np.int64],
    cell: NDArray[np.int64],
    classes: int,
    strength: float,
    fits: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Mean of `fits` fits on cell-balanced subsets, for raw features: weight [classes, width], bias [classes]."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise missing_extra("debias method 'last-layer'", "torch", error) from error

    mean, std = x.mean(axis=0), x.std(axis=0)
    scale = np.where(std > 0, 1.0 / np.where(std > 0, std, 1.0), 0.0)
    weight, bias = np.zeros((classes, x.shape[1])), np.zeros(classes)
    of_cell = [np.flatnonzero(cell == index) for index in np.unique(cell)]
    size = min(MOST_ROWS, *(len(rows) for rows in of_cell))
    for _ in range(fits):
        subset = np.concatenate([rng.choice(rows, size, replace=False) for rows in of_cell])
        model = LogisticRegression(
            l1_ratio=1.0, C=strength, solver="saga", max_iter=200, tol=1e-3, random_state=int(rng.integers(2**31))
        )
        with warnings.catch_warnings():
            # A fit that stops early is one of several that are averaged, and is judged by its decisions.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit((x[subset] - mean) * scale, label[subset])
        if classes == 2:
            weight += np.stack([-model.coef_[0], model.coef_[0]]) / 2
            bias += np.stack([-model.intercept_[0], model.intercept_[0]]) / 2
        else:
            weight += model.coef_
            bias += model.intercept_
    weight, bias = weight / fits * scale, bias / fits
    return weight, bias - weight @ mean
