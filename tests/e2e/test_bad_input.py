"""Every bad input: one clear message on stderr, the right exit code, nothing written."""

import json
import os
import resource
import signal
import sys

import numpy as np
import onnx
import pytest
import torch

from edgefair.files import sha256_file
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY
from tests.e2e.commands import ROWS, change, edit, refused, run
from tests.e2e.forked import answer


def every_n(values, n, value):
    out = values.copy()
    out[1::n] = value
    return out


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"fair": None}, "has no column 'fair'"),
        ({"fair": np.full(ROWS, "yes")}, "only one value: yes"),
        (
            {"sex": lambda t: every_n(t["sex"], 1000, "X")},
            "group 'X' of attribute 'sex' has 16 rows and the policy does not",
        ),
        (
            {"sex": lambda t: every_n(t["sex"].astype(object), 1000, None)},
            "sensitive column 'sex' has no value in 16 rows",
        ),
        ({"skill": lambda t: every_n(t["skill"], 1000, np.nan)}, "feature 'skill' is NaN, empty or infinite"),
        ({"skill": lambda t: every_n(t["skill"], 1000, np.inf)}, "feature 'skill' is NaN, empty or infinite"),
        ({"talent": lambda t: t["skill"], "skill": None}, "feature 'skill', which the data does not have"),
        ({"skill": lambda t: t["skill"].astype(str)}, "holds text and the model was trained on numbers"),
        ({"part": np.full(ROWS, "train")}, "is never 'test'"),
    ],
)
@pytest.mark.parametrize("command", ["verify", "export"])
def test_data_that_is_not_as_the_model_and_the_policy_expect(shipped, project, command, columns, message):
    change(project, **columns)
    arguments = ["verify", shipped / "dist/small"] if command == "verify" else ["export", "--int8"]
    assert message in refused(project, *arguments, "--no-latency")


def test_a_declared_group_that_is_absent_is_inconclusive(project, shipped):
    edit(project, policy__attributes__sex__groups=["F", "M", "X"])
    result = run("verify", shipped / "dist/small", "-c", project / "edgefair.yaml", "--no-latency")
    assert result.exit_code == 3
    assert "group 'X' has no row" in " ".join(result.stdout.split())


def test_audit_rows_that_trained_the_model_are_an_error(project, shipped):
    rows = np.arange(ROWS)
    copied = np.where((rows % 2 == 1) & (rows < 2000), rows - 1, rows)
    change(project, **{name: lambda t, name=name: t[name][copied] for name in ("skill", "age", "job", "sex", "fair")})
    message = refused(project, "verify", shipped / "dist/small", "--no-latency")
    assert "1000 of 8000 audit rows equal a training row in every feature" in message


def test_declared_ids_in_both_splits_are_an_error(project, shipped):
    change(project, row=np.arange(ROWS) // 2)
    edit(project, data__id="row")
    assert "8,000 ids of data.id occur more than once" in refused(project, "verify", shipped / "dist/small")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy__max_eo_gap": 1.5}, "policy.max_eo_gap: Input should be less than or equal to 1 (found 1.5)"),
        ({"policy__max_eo_gap": -0.1}, "policy.max_eo_gap"),
        ({"policy__alpha": 0}, "policy.alpha"),
        ({"policy__max_eo_gapp": 0.05}, "unknown key 'policy.max_eo_gapp' (did you mean 'max_eo_gap'?)"),
        ({"policy__attributes__sex__group": ["F"]}, "(did you mean 'groups'?)"),
        ({"data__lable": "x"}, "unknown key 'data.lable' (did you mean 'label'?)"),
        ({"surprise": 1}, "unknown key 'surprise'"),
        ({"targets": ["locall"]}, "unknown target 'locall' (did you mean 'local'?)"),
        ({"targets": []}, "targets"),
        ({"compress__calibration": "int8-balance"}, "unknown calibration recipe 'int8-balance'"),
        ({"policy__attributes__age": {"groups": ["1", "2"]}}, "judges 'age', which data.sensitive does not name"),
    ],
)
def test_a_config_that_cannot_be(project, changes, message):
    edit(project, **changes)
    assert message in refused(project, "export", "--int8", "--no-latency")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "data: [", "policy: {a: &x [*x]}", "\x00"])
def test_a_config_that_is_no_config(project, text):
    (project / "edgefair.yaml").write_text(text)
    refused(project, "plan")


def test_no_config_says_how_to_write_one(tmp_path):
    result = run("plan", "-c", tmp_path / "edgefair.yaml")
    assert result.exit_code == 2
    assert "edgefair init" in result.stderr


def test_an_unknown_method_run_or_flag(project):
    assert "did you mean 'reweigh'" in refused(project, "train", "--debias", "rewegh", "--name", "x")
    assert "did you mean 'plain'" in refused(project, "export", "--run", "plane")
    assert run("export", "--int9").exit_code == 2
    assert run("exprot").exit_code == 2


def models(path):
    """Model files that must not be judged, and what the message says."""
    good = path.read_bytes()
    model = onnx.load_model(path)
    model.graph.input[0].name = "numbers"
    for node in model.graph.node:
        node.input[:] = ["numbers" if name == "numeric" else name for name in node.input]
    yield "renamed", model.SerializeToString(), "has no input 'numeric'"
    yield "empty", b"", "is empty"
    yield "truncated", good[: len(good) // 2], "cannot be loaded"
    yield "garbage", os.urandom(500), "cannot be loaded"
    model = onnx.load_model(path)
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == "numeric":
                node.input[index] = "numeric_float"
    model.graph.node.insert(0, onnx.helper.make_node("Cast", ["numeric"], ["numeric_float"], to=1))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    yield "double", model.SerializeToString(), "is tensor(double)"
    model = onnx.load_model(path)
    spec = next(item for item in model.metadata_props if item.key == SPEC_METADATA_KEY)
    spec.value = spec.value.replace('"skill"', '"skills"')
    yield "other feature", model.SerializeToString(), "'skills', which the data does not have"
    model = onnx.load_model(path)
    del model.metadata_props[:]
    yield "no spec", model.SerializeToString(), "carries no edgefair spec and has 2 inputs"


def test_a_model_file_that_cannot_be_judged(shipped, project):
    for name, content, message in models(shipped / "dist/small/model.onnx"):
        (project / "bad.onnx").write_bytes(content)
        said = refused(project, "verify", project / "bad.onnx", "--no-latency")
        assert message in said, name


def test_a_model_that_gives_nan_is_a_failed_measurement(shipped, project):
    model = onnx.load_model(shipped / "dist/small/reference/model.onnx")
    for item in model.graph.initializer:
        array = onnx.numpy_helper.to_array(item)
        if array.dtype == np.float32 and array.ndim == 2:
            item.CopyFrom(onnx.numpy_helper.from_array(np.full_like(array, np.nan), item.name))
    onnx.save_model(model, project / "nan.onnx")
    message = refused(project, "verify", project / "nan.onnx", "--no-latency", code=4)
    assert "NaN or infinite in 4096 of 4096 rows" in message


def test_a_path_that_is_no_model(project):
    assert "no bundle or model file" in refused(project, "verify", project / "absent")
    assert "is a folder but not a bundle" in refused(project, "verify", project / "runs")


def test_weights_that_need_unpickling_are_not_loaded(project):
    class Boom:
        def __reduce__(self):
            return (os.mkdir, (str(project / "unpickled"),))

    weights, run = project / "runs/plain/model.safetensors", project / "runs/plain/run.json"
    torch.save({"x": Boom()}, weights)
    content = json.loads(run.read_text())
    content["files"]["model.safetensors"] = sha256_file(weights)
    run.write_text(json.dumps(content))
    assert "cannot be read as tensors" in refused(project, "export", "--int8")


def test_a_destination_that_cannot_be_written(project):
    (project / "file").write_text("")
    assert "cannot write to" in refused(project, "export", "--int8", "-o", project / "file/out")
    (project / "mine").mkdir()
    (project / "mine/thesis.tex").write_text("")
    assert "holds other files" in refused(project, "export", "--int8", "-o", project / "mine")


def export_on_a_full_disk(config, out):
    """Files may be of 20 kB at most: the model does not fit; bytecode would be cut as well."""
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    result = run("export", "-c", config, "-o", out, "--no-latency")
    return result.exit_code, result.stderr


@pytest.mark.e2e
def test_a_full_disk_leaves_the_old_bundle(project, tmp_path):
    out = project / "out"
    assert run("export", "-c", project / "edgefair.yaml", "-o", out, "--no-latency").exit_code == 0
    old = (out / "report.json").read_bytes()
    code, said = answer(export_on_a_full_disk, project / "edgefair.yaml", out)
    assert code == 2, said
    assert "File too large" in said
    assert "Traceback" not in said
    assert (out / "report.json").read_bytes() == old
    assert not [path.name for path in project.iterdir() if path.name.startswith(".")]


def test_a_run_is_named_within_the_runs(project):
    assert "cannot name a run" in refused(project, "train", "--name", "../outside", "--epochs", 1)
    assert "no finished run '../fair'" in refused(project, "export", "--run", "../fair")


def test_a_file_that_cannot_be_written_is_known_before_the_work(project, shipped):
    for flag in ("--report", "--record"):
        assert "no folder" in refused(project, "verify", shipped / "dist/small", flag, project / "absent/file")


def test_init_says_what_it_needs_to_know(project):
    result = run("init", "--data", project / "people.parquet", "-o", project / "new.yaml")
    assert result.exit_code == 2
    assert "--label" in result.stderr
    assert not (project / "new.yaml").exists()


def test_set_needs_a_key_and_a_value(project):
    assert "not KEY=VALUE" in refused(project, "plan", "--set", "policy.alpha")
    assert "'project' is not a section" in refused(project, "plan", "--set", "project.name=x")
