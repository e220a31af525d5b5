"""A model whose spec names the classes otherwise than the data: the device would answer the opposite."""

import numpy as np
import pytest

from tests.attacks.judged import linear, report, run, spec, write_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = write_project(tmp_path_factory.mktemp("classes"))
    linear(folder / "right.onnx", said=spec())
    return folder


@pytest.mark.parametrize("classes", [("yes", "no"), ("cat", "dog"), ("no", "yes", "maybe")])
@pytest.mark.parametrize("command", ["verify", "export"])
def test_other_class_names_than_the_datas_are_refused(project, tmp_path, classes, command):
    model = linear(tmp_path / "other.onnx", said=spec(classes))
    where = ("-o", tmp_path / "dist") if command == "export" else ()
    done = run(command, project, model, "--no-latency", *where)
    assert done.exit_code == 2
    assert f"has the classes {', '.join(classes)} and the data no, yes" in done.stderr
    assert not (tmp_path / "dist").exists()


def test_a_reference_with_other_class_names_is_refused(project, tmp_path):
    other = linear(tmp_path / "other.onnx", (1.9, 0.0, 0.0), said=spec(("yes", "no")))
    done = run("verify", project, project / "right.onnx", "--reference", other, "--no-latency")
    assert (done.exit_code, "has the classes yes, no" in done.stderr) == (2, True)


def test_a_comparison_with_other_class_names_is_refused(project, tmp_path):
    other = linear(tmp_path / "other.onnx", said=spec(("yes", "no")))
    done = run("compare", project, project / "right.onnx", other)
    assert (done.exit_code, "has the classes yes, no" in done.stderr) == (2, True)


def test_the_datas_own_names_pass(project):
    code, judged = report("verify", project, project / "right.onnx", "--no-latency")
    assert (code, judged["outcome"]) == (0, "PASS")


def test_numbers_as_names_are_no_licence_to_turn_the_classes_round(tmp_path):
    """A scikit-learn model of the classes 0 and 1, and data whose positive class is 0."""
    from sklearn.linear_model import LogisticRegression
    from skops.io import dump

    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 2000)
    x = np.stack([2.0 * label - 1 + rng.normal(0, 0.5, 2000), *rng.normal(size=(2, 2000))], axis=1).astype(np.float32)
    dump(LogisticRegression().fit(x, label), tmp_path / "m.skops")
    sex = rng.choice(["f", "m"], 2000)
    rows = {"id": np.arange(2000), "a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "sex": sex, "label": label}
    project = write_project(tmp_path / "p", rows=rows)
    config = (project / "edgefair.yaml").read_text()
    (project / "edgefair.yaml").write_text(config.replace('"yes"', '"0"'))
    done = run("verify", project, tmp_path / "m.skops", "--no-latency")
    assert (done.exit_code, "has the classes 0, 1 and the data 1, 0" in done.stderr) == (2, True)
