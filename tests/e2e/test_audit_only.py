"""A table in which every row audits is enough to judge a model, and with calibration rows to compress one."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.attacks.judged import CONFIG, linear, people, report, run, write_project
from tests.e2e import commands

ALL_AUDIT = CONFIG.replace("policy:", "  split: {audit_fraction: 1}\npolicy:")
BY_COLUMN = CONFIG.replace("policy:", "  split: {column: part, train: [], audit: [test]}\npolicy:")


def calibration(folder):
    """Rows of features alone, of other people."""
    rows = {name: column for name, column in people(400, seed=7).items() if name in "abc"}
    pyarrow.parquet.write_table(pyarrow.table(rows), folder / "others.parquet")


@pytest.mark.parametrize("config", [ALL_AUDIT, BY_COLUMN])
def test_audit_rows_alone_judge_a_model(tmp_path, config):
    rows = people()
    project = write_project(tmp_path, config, {**rows, "part": np.full(len(rows["a"]), "test")})
    code, judged = report("verify", project, linear(tmp_path / "m.onnx"), "--no-latency")
    assert code == 0
    assert judged["audit"]["rows"] == len(rows["a"])
    assert judged["data"]["rows"]["train"] == judged["data"]["rows"]["validation"] == 0
    assert any("has no training rows to compare" in note for note in judged["notes"])
    again = run("compare", project, tmp_path / "m.onnx", linear(tmp_path / "n.onnx", (2.0, 0.1, 0.0)))
    assert again.exit_code == 0, again.output
    described = commands.run("data", "describe", "-c", project / "edgefair.yaml")
    assert described.exit_code == 0, described.output


def test_int8_needs_calibration_rows_beside_them_and_nothing_more(tmp_path):
    project = write_project(tmp_path, ALL_AUDIT)
    model = linear(tmp_path / "m.onnx")
    done = run("export", project, model, "--int8", "static", "--no-latency")
    assert done.exit_code == 2
    assert "calibration 'int8-balanced' needs train rows" in done.stderr
    assert "--calibration FILE" in done.stderr
    calibration(project)
    code, judged = report(
        "export", project, model, "--int8", "static", "--calibration", "others.parquet", "--no-latency"
    )
    assert code == 0
    assert any("a repair needs both training and validation rows" in note for note in judged["notes"])
    code, judged = report("verify", project, "--no-latency")
    assert code == 0
    assert run("export", project, model, "--no-latency", "-o", project / "plain").exit_code == 0


def test_a_step_that_needs_rows_says_which(tmp_path):
    project = write_project(tmp_path, ALL_AUDIT)
    model = linear(tmp_path / "m.onnx")
    done = run("export", project, model, "--post", "threshold", "--no-latency")
    assert done.exit_code == 2
    assert "debias.post needs validation rows" in done.stderr
    done = run("train", project)
    assert done.exit_code == 2
    assert "no rows are left for the train split" in done.stderr


def test_audit_rows_in_the_calibration_file_are_refused(tmp_path):
    project = write_project(tmp_path, ALL_AUDIT)
    rows = {name: column for name, column in people(400).items() if name in "abc"}
    pyarrow.parquet.write_table(
        pyarrow.table({name: people()[name][:400] for name in rows}), project / "others.parquet"
    )
    done = run(
        "export", project, linear(tmp_path / "m.onnx"), "--int8", "static", "--calibration", "others.parquet",
        "--no-latency",
    )  # fmt: skip
    assert done.exit_code == 2
    assert "holds audit rows" in done.stderr


def test_a_model_of_vectors_is_judged_by_audit_rows_alone(tmp_path):
    """The other splits have no row, and their vectors no values."""
    rows = people()
    vectors = np.stack([rows[name] for name in "abc"], axis=1)
    np.savez(tmp_path / "people.npz", features=vectors, **{name: rows[name] for name in ("id", "sex", "label")})
    config = ALL_AUDIT.replace("people.parquet", "people.npz").replace("[a, b, c]", "[features]")
    (tmp_path / "edgefair.yaml").write_text(config + "model: {output: {kind: logits}}\n")
    code, judged = report("verify", tmp_path, linear(tmp_path / "m.onnx"), "--no-latency")
    assert code == 0
    assert judged["data"]["rows"]["train"] == 0
