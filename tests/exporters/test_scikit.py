import os
import pickle
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from edgefair.errors import ModelError, UsageError
from edgefair.exporters.scikit import CONVERTED, from_estimator, read_skops
from edgefair.exporters.scikit_check import check_probabilities
from edgefair.installed import command_for

pd = pytest.importorskip("pandas")
skops_io = pytest.importorskip("skops.io")
pytest.importorskip("skl2onnx")

from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.ensemble import (  # noqa: E402
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402
from sklearn.pipeline import Pipeline, make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler  # noqa: E402
from sklearn.semi_supervised import LabelSpreading  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402
from sklearn.utils import all_estimators  # noqa: E402

COLUMNS = [("age", "number"), ("job", "text"), ("pay", "number")]


def table(rows, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.normal(40, 10, rows).astype(np.float32),
            "job": rng.choice(["cook", "nurse", "smith"], rows),
            "pay": rng.normal(0, 2, rows).astype(np.float32),
        }
    )


def target(frame):
    return ((frame.age > 40).to_numpy() ^ (frame.pay > 0).to_numpy()).astype(int) + (frame.job == "cook").to_numpy()


def mixed(make=LogisticRegression):
    prepare = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["age", "pay"]),
            ("texts", OneHotEncoder(handle_unknown="ignore"), ["job"]),
        ]
    )
    frame = table(300)
    return Pipeline([("prepare", prepare), ("classify", make())]).fit(frame, target(frame))


def numbers(classifier, names=("age", "pay")):
    frame = table(300)
    return classifier.fit(frame[list(names)].to_numpy(), target(frame))


def run(model, inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["label", "probabilities"], inputs)


def by_column(frame):
    return {name: frame[[name]].to_numpy(dtype=np.float32 if kind == "number" else object) for name, kind in COLUMNS}


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("make", [LogisticRegression, RandomForestClassifier])
def test_a_pipeline_on_named_columns_takes_each_column_and_gives_sklearns_probabilities(rows, make):
    pipeline = mixed(make)
    model = from_estimator(pipeline, COLUMNS)
    assert [item.name for item in model.graph.input] == ["age", "job", "pay"]
    frame = table(rows, seed=rows)
    label, probabilities = run(model, by_column(frame))
    assert np.abs(probabilities - pipeline.predict_proba(frame)).max() < 1e-4
    assert np.array_equal(label, pipeline.predict(frame))


def test_a_text_that_training_never_saw_is_ignored_as_in_sklearn():
    pipeline = mixed()
    frame = table(5).assign(job="pilot")
    _, probabilities = run(from_estimator(pipeline, COLUMNS), by_column(frame))
    assert np.abs(probabilities - pipeline.predict_proba(frame)).max() < 1e-4


def test_columns_selected_by_position_are_one_matrix():
    pipeline = make_pipeline(ColumnTransformer([("one", StandardScaler(), slice(1, 2))]), LogisticRegression())
    fitted = numbers(pipeline)
    matrix = table(9, seed=1)[["age", "pay"]].to_numpy()
    _, probabilities = run(from_estimator(fitted, [("age", "number"), ("pay", "number")]), {"X": matrix})
    assert np.abs(probabilities - fitted.predict_proba(matrix)).max() < 1e-4


@pytest.mark.parametrize("remainder", ["drop", "passthrough"])
def test_columns_that_are_not_selected_follow_the_pipelines_rule(remainder):
    prepare = ColumnTransformer([("texts", OneHotEncoder(), ["job"])], remainder=remainder)
    frame = table(200)
    pipeline = make_pipeline(prepare, LogisticRegression()).fit(frame, target(frame))
    _, probabilities = run(from_estimator(pipeline, COLUMNS), by_column(frame))
    assert np.abs(probabilities - pipeline.predict_proba(frame)).max() < 1e-4


@pytest.mark.parametrize("rows", [1, 500])
@pytest.mark.parametrize(
    "classifier",
    [
        GradientBoostingClassifier(n_estimators=20, random_state=0),
        RandomForestClassifier(20, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
)
def test_a_classifier_on_numbers_takes_one_matrix(rows, classifier):
    fitted = numbers(classifier)
    model = from_estimator(fitted, [("age", "number"), ("pay", "number")])
    assert [item.name for item in model.graph.input] == ["X"]
    assert all(item.type.tensor_type.shape.dim[0].dim_param for item in [*model.graph.input, *model.graph.output])
    matrix = table(rows, seed=1)[["age", "pay"]].to_numpy()
    label, probabilities = run(model, {"X": matrix})
    assert np.abs(probabilities - fitted.predict_proba(matrix)).max() < 1e-4
    assert np.array_equal(label, fitted.predict(matrix))


def test_equal_models_are_equal_files_and_nothing_is_printed(capfd):
    pipeline = mixed()
    first, second = (from_estimator(pipeline, COLUMNS).SerializeToString() for _ in range(2))
    assert first == second
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("estimator", "columns", "message"),
    [
        (LinearRegression(), COLUMNS, "no probabilities"),
        (RidgeClassifier(), COLUMNS, "no probabilities"),
        (LogisticRegression(), COLUMNS, "not fitted"),
        (mixed(), COLUMNS[:2], "takes column 'pay'"),
        (numbers(LogisticRegression()), COLUMNS, "'job' is text"),
        (numbers(LogisticRegression()), [("age", "number")], "columns are"),
        (
            make_pipeline(FunctionTransformer(np.abs), LogisticRegression()).fit([[0.0], [1.0]], [0, 1]),
            [("age", "number")],
            "cannot be expressed",
        ),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(estimator, columns, message):
    with pytest.raises(ModelError, match=message):
        from_estimator(estimator, columns)


def test_a_classifier_that_onnx_cannot_express_is_refused_with_those_that_it_can():
    with pytest.raises(ModelError, match="the LabelSpreading cannot be expressed") as refused:
        from_estimator(numbers(LabelSpreading()), [("age", "number"), ("pay", "number")])
    lines = refused.value.lines
    assert all(len(line) < 600 for line in lines)
    assert "HistGradientBoostingClassifier" in lines[1]
    assert ".onnx" in lines[2]


@pytest.mark.parametrize("name", CONVERTED)
@pytest.mark.parametrize("classes", [2, 3])
def test_every_classifier_that_is_named_keeps_its_probabilities(name, classes):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, 2)).astype(np.float32)
    label = (rows[:, 0] > 0).astype(int) + ((rows[:, 1] > 0.5) & (classes > 2))
    fitted = dict(all_estimators(type_filter="classifier"))[name]().fit(rows, label)
    graph = from_estimator(fitted, [("age", "number"), ("pay", "number")])
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    (found,) = session.run(["probabilities"], {"X": rows})
    assert np.abs(found - fitted.predict_proba(rows)).max() < 1e-4


def test_columns_in_another_order_than_the_training_datas_are_refused():
    frame = table(50)
    fitted = LogisticRegression().fit(frame[["age", "pay"]], target(frame))
    with pytest.raises(ModelError, match="as the model was fitted"):
        from_estimator(fitted, [("pay", "number"), ("age", "number")])


def test_a_skops_file_gives_the_model_back(tmp_path):
    pipeline = mixed()
    skops_io.dump(pipeline, tmp_path / "model.skops")
    frame = table(20)
    assert np.array_equal(read_skops(tmp_path / "model.skops").predict(frame), pipeline.predict(frame))


class Own(LogisticRegression):
    pass


def test_types_that_skops_does_not_trust_are_listed(tmp_path):
    skops_io.dump(numbers(Own()), tmp_path / "model.skops")
    with pytest.raises(ModelError, match=r"not trusted: .*Own"):
        read_skops(tmp_path / "model.skops")


def test_types_that_the_user_names_are_loaded(tmp_path):
    skops_io.dump(numbers(Own()), tmp_path / "model.skops")
    name = f"{Own.__module__}.Own"
    assert isinstance(read_skops(tmp_path / "model.skops", trusted=[name]), Own)


@pytest.mark.parametrize(
    "classifier",
    [
        GradientBoostingClassifier(n_estimators=4),
        HistGradientBoostingClassifier(max_iter=4),
        RandomForestClassifier(4),
        AdaBoostClassifier(n_estimators=4),
        DecisionTreeClassifier(),
        MLPClassifier((4,), max_iter=20),
        KNeighborsClassifier(),
    ],
)
def test_scikit_learns_own_trees_and_networks_need_no_trust(tmp_path, classifier):
    fitted = numbers(classifier)
    skops_io.dump(fitted, tmp_path / "model.skops")
    rows = np.random.default_rng(1).normal(size=(20, fitted.n_features_in_))
    assert np.array_equal(read_skops(tmp_path / "model.skops").predict(rows), fitted.predict(rows))


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.skops"])
def test_a_pickle_is_refused_and_never_loaded(tmp_path, name):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / name).write_bytes(pickle.dumps(Payload.__reduce__(Payload())[1]))
    with pytest.raises(ModelError, match="pickled objects are never loaded") as caught:
        read_skops(tmp_path / name)
    assert "skops.io.dump" in caught.value.fix
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", ["missing", "empty", "text", "cut"])
def test_files_that_are_not_whole_are_refused(tmp_path, content):
    path = tmp_path / "model.skops"
    skops_io.dump(mixed(), path)
    data = path.read_bytes()
    if content == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "text": b"hello", "cut": data[: len(data) // 2]}[content])
    with pytest.raises(ModelError, match=r"model\.skops"):
        read_skops(path)


def test_missing_packages_are_named_with_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(UsageError) as read:
        read_skops(tmp_path / "model.skops")
    with pytest.raises(UsageError) as converted:
        from_estimator(mixed(), COLUMNS)
    assert read.value.fix == converted.value.fix == command_for("sklearn")


def test_torch_is_not_needed():
    code = "import sys; sys.modules['torch'] = None; import edgefair.exporters.scikit, edgefair.exporters.hugging_face"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_graph_with_other_probabilities_than_the_model_is_refused():
    frame = table(300)
    wrong, right = (
        LogisticRegression().fit(frame[["age", "pay"]].to_numpy(), y) for y in (1 - target(frame), target(frame))
    )
    cells = {name: frame[name].to_numpy() for name in ("age", "pay")}
    graph = from_estimator(right, [("age", "number"), ("pay", "number")])
    check_probabilities(graph, right, cells)
    with pytest.raises(ModelError, match=r"gives different probabilities than the model: in .* of 300 rows"):
        check_probabilities(graph, wrong, cells)


def test_a_pipeline_on_named_columns_is_compared_by_name():
    pipeline, frame = mixed(), table(50, seed=3)
    check_probabilities(
        from_estimator(pipeline, COLUMNS), pipeline, {name: frame[name].to_numpy() for name, _ in COLUMNS}
    )


def test_rows_with_missing_values_say_nothing_of_the_conversion():
    pipeline, frame = mixed(), table(50, seed=3)
    cells = {name: frame[name].to_numpy(dtype=object if kind == "text" else np.float64) for name, kind in COLUMNS}
    cells["job"][:20], cells["age"][20:30] = None, np.nan
    check_probabilities(from_estimator(pipeline, COLUMNS), pipeline, cells)
