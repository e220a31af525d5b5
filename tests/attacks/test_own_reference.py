"""A candidate that is its own reference would keep every gate that compares the two."""

import shutil

from judged import linear, run, write_project


def test_a_reference_that_is_the_candidate_itself_is_refused(tmp_path):
    project = write_project(tmp_path)
    model = linear(tmp_path / "m.onnx")
    copy = shutil.copy(model, tmp_path / "before.onnx")
    done = run("verify", project, model, "--reference", copy, "--no-latency", "--max-accuracy-drop", "0.01")
    assert done.exit_code == 2
    assert "is the candidate itself" in done.stderr
