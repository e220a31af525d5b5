"""A graph whose first dimension is 1, as many exporters write it, is judged row by row."""

import onnx
import pytest

from tests.attacks.judged import linear, report, run, write_project


def fixed(path, rows):
    """The model of `judged` for exactly so many rows."""
    model = onnx.load(linear(path))
    for item in (*model.graph.input, *model.graph.output):
        item.type.tensor_type.shape.dim[0].dim_value = rows
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("latency", ["--latency", "--no-latency"])
def test_it_decides_as_the_same_graph_for_any_number_of_rows(tmp_path, latency):
    project = write_project(tmp_path)
    alone, together = fixed(tmp_path / "one.onnx", 1), linear(tmp_path / "any.onnx")
    flags = [latency, "--target", str(short(tmp_path))]
    code, one = report("verify", project, alone, "--reference", together, *flags)
    assert code == 0
    _, other = report("verify", project, together, *flags)
    assert one["targets"][0]["counts"] == other["targets"][0]["counts"]
    assert (one["targets"][0]["latency"] is not None) == (latency == "--latency")


def short(folder):
    """A profile that is timed for a moment."""
    path = folder / "short.yaml"
    path.write_text("name: short\ntransport: local\nlatency: {min_queries: 100, min_seconds: 0.01}\n")
    return path


def test_it_is_exported_as_it_is_and_its_bundle_is_verified(tmp_path):
    project = write_project(tmp_path)
    assert run("export", project, fixed(tmp_path / "one.onnx", 1), "--no-latency").exit_code == 0
    assert run("verify", project, "--no-latency").exit_code == 0
    done = run("export", project, tmp_path / "one.onnx", "--int8", "static", "--no-latency")
    assert done.exit_code == 2
    assert "exactly 1 row at a time" in done.stderr


def test_a_graph_for_several_rows_at_a_time_is_refused(tmp_path):
    project = write_project(tmp_path)
    done = run("verify", project, fixed(tmp_path / "seven.onnx", 7), "--no-latency")
    assert done.exit_code == 2
    assert "takes exactly 7 rows at a time" in done.stderr
