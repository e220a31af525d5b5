"""Models that look at their batch: rows are measured by thousands, and a device asks for one at a time."""

import numpy as np
import pytest
from onnx import helper

from tests.attacks.judged import gate, linear, report, run, save, write_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("batch"))


def trojan(path, most, scale):
    """Decides by `a`; in batches of up to `most` rows by `b`, which tells the group. The logits are +-scale."""
    nodes = [
        helper.make_node("Gather", ["features", "first"], ["a"], axis=1),
        helper.make_node("Gather", ["features", "second"], ["b"], axis=1),
        helper.make_node("Shape", ["features"], ["rows"], start=0, end=1),
        helper.make_node("LessOrEqual", ["rows", "most"], ["few"]),
        helper.make_node("Where", ["few", "b", "a"], ["z"]),
        helper.make_node("Sign", ["z"], ["sign"]),
        helper.make_node("Mul", ["sign", "scale"], ["up"]),
        helper.make_node("Neg", ["up"], ["down"]),
        helper.make_node("Concat", ["down", "up"], ["logits"], axis=1),
    ]
    constants = {
        "first": np.array([0]),
        "second": np.array([1]),
        "most": np.array([most]),
        "scale": np.float32([scale]),
    }
    return save(path, nodes, constants)


@pytest.mark.parametrize("most", [1, 8, 1000])
def test_a_model_that_answers_otherwise_in_small_batches_is_refused(project, tmp_path, most):
    done = run("export", project, trojan(tmp_path / "m.onnx", most, 3.0), "--no-latency", "-o", tmp_path / "dist")
    assert done.exit_code == 2
    assert "gives a different answer for a row when other rows are in its batch" in done.stderr
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("scale", [0.03, 1e-5])
def test_where_scores_hardly_move_and_decisions_do_the_rows_are_judged_one_by_one(project, tmp_path, scale):
    code, judged = report("verify", project, trojan(tmp_path / "m.onnx", 8, scale), "--no-latency")
    assert (code, judged["outcome"]) == (1, "FAIL")
    assert gate(judged, "equalized-odds gap")["estimate"] > 0.9
    assert any("every row was run alone" in note for note in judged["notes"])


def test_a_reduction_over_the_batch_is_refused(project, tmp_path):
    nodes = [
        helper.make_node("ReduceMean", ["features"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("MatMul", ["centred", "w"], ["logits"]),
    ]
    model = save(tmp_path / "m.onnx", nodes, {"w": np.float32([[-2, 2], [0, 0], [0, 0]])})
    done = run("verify", project, model, "--no-latency")
    assert (done.exit_code, "gives a different answer for a row" in done.stderr) == (2, True)


def test_a_model_that_decides_every_row_by_itself_passes_unremarked(project, tmp_path):
    code, judged = report("verify", project, linear(tmp_path / "m.onnx"), "--no-latency")
    assert code == 0
    assert not [note for note in judged["notes"] if "run alone" in note]
