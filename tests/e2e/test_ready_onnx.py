"""An ONNX file of one's own is compressed: what the manifest says of it, and on which rows it may be calibrated."""

import hashlib
import json

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from edgefair.config import load_config
from edgefair.data.dataset import load
from edgefair.graphs.byte_casts import byte_casts
from edgefair.progress import silent
from edgefair.workflow.models.convert import convert_model
from tests.e2e.commands import edit, refused, run

ROWS, WIDTH, HIDDEN = 800, 64, 512


def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    return {
        "x": x,
        "y": np.where(x[:, 0] > 0, "yes", "no"),
        "sex": rng.choice(["F", "M"], ROWS),
        "part": np.where(np.arange(ROWS) % 2 == 0, "train", "test"),
    }


def two_layers():
    """A wide layer, and a last one that is too small to gain from INT8; it decides by the first number."""
    rng = np.random.default_rng(1)
    first = (rng.normal(size=(WIDTH, HIDDEN)) * 0.01).astype(np.float32)
    last = np.zeros((HIDDEN, 2), np.float32)
    first[0, :2] = 1, -1
    last[:2] = [[0, 2], [2, 0]]
    weights = {"w0": first, "b0": np.zeros(HIDDEN, np.float32), "w1": last, "b1": np.zeros(2, np.float32)}
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["a"], "wide"),
        helper.make_node("Relu", ["a"], ["r"], "relu"),
        helper.make_node("Gemm", ["r", "w1", "b1"], ["logits"], "last"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", WIDTH])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def of_bytes():
    """The same on bytes."""
    model = two_layers()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node.insert(0, helper.make_node("Cast", ["x"], ["numbers"], "cast", to=TensorProto.FLOAT))
    model.graph.node[1].input[0] = "numbers"
    return model


def narrowed(kind):
    """The same with weights in half precision, cast to float where they are read."""
    model = two_layers()
    for item in model.graph.initializer:
        name, value = item.name, numpy_helper.to_array(item)
        item.CopyFrom(helper.make_tensor(f"{name}_narrow", kind, value.shape, value.ravel().tolist()))
        model.graph.node.insert(0, helper.make_node("Cast", [f"{name}_narrow"], [name], f"cast_{name}", to=1))
    return model


@pytest.fixture
def project(tmp_path):
    np.savez(tmp_path / "all.npz", **table())
    config = {
        "project": "small",
        "data": {
            "source": "all.npz",
            "label": "y",
            "positive": "yes",
            "sensitive": ["sex"],
            "split": {"column": "part", "train": ["train"], "audit": ["test"]},
        },
        "model": {"output": {"kind": "logits"}},
        "policy": {"max_eo_gap": 0.5, "attributes": {"sex": {"groups": ["F", "M"]}}},
    }
    (tmp_path / "edgefair.yaml").write_text(yaml.safe_dump(config))
    onnx.save_model(two_layers(), tmp_path / "m.onnx")
    return tmp_path


def exported(project, *arguments):
    result = run("export", *arguments, "-c", project / "edgefair.yaml", "--no-latency", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def calibration(project, rows):
    np.savez(project / "mine.npz", x=rows, id=np.arange(len(rows)))
    return ("--int8", "static", "--calibration", "mine.npz")


def others(rows):
    return np.random.default_rng(2).normal(size=(rows, WIDTH)).astype(np.float32)


def part(name):
    rows = table()
    return rows["x"][rows["part"] == name]


def about_calibration(report):
    return [note for note in report["notes"] if "calibration" in note]


def ends_in_a_vector():
    """The same with one logit: the last layer's weight has one dimension."""
    model = two_layers()
    weights = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    vector = weights["w1"][:, 1] - weights["w1"][:, 0]
    model.graph.node[2].CopyFrom(helper.make_node("MatMul", ["r", "v"], ["logits"], "vector"))
    model.graph.initializer.append(numpy_helper.from_array(vector, "v"))
    del model.graph.output[0].type.tensor_type.shape.dim[1]
    return model


@pytest.mark.parametrize("precision", [("--int8", "static"), ("--int8", "dynamic"), ("--int8", "a16w8"), ("--fp16",)])
def test_a_layer_whose_weight_is_a_vector_stays_in_float_and_a_note_says_so(project, precision):
    edit(project, model__output__kind="logit")
    onnx.save_model(ends_in_a_vector(), project / "v.onnx")
    report = exported(project, project / "v.onnx", *precision)
    assert report["outcome"] == "PASS"
    said = [note for note in report["notes"] if "'vector' stays in float: its weight has 1 dimension" in note]
    assert len(said) == ("--fp16" not in precision)


def test_bytes_become_floats_in_a_way_that_every_runtime_computes(project):
    np.savez(project / "all.npz", **{**table(), "x": np.abs(np.rint(50 * table()["x"])).astype(np.uint8)})
    onnx.save_model(of_bytes(), project / "b.onnx")
    config = load_config(project / "edgefair.yaml")
    data = load(config.data, base=config.base, roles=["audit"])
    made = convert_model(config, data, str(project / "b.onnx"), weights=None, to=project / "made.onnx", progress=silent)
    assert byte_casts(of_bytes())
    assert byte_casts(onnx.load(made.path)) == ()


def test_what_a_target_computes_wrongly_is_refused_before_it_is_asked(project):
    np.savez(project / "all.npz", **{**table(), "x": np.abs(np.rint(50 * table()["x"])).astype(np.uint8)})
    onnx.save_model(of_bytes(), project / "b.onnx")
    providers = "[QNNExecutionProvider, CPUExecutionProvider]"
    (project / "npu.yaml").write_text(f"name: npu\ntransport: local\nproviders: {providers}\n")
    target = ("--target", project / "npu.yaml")
    said = refused(project, "verify", project / "b.onnx", *target)
    assert "QNN, which runs the model on target 'npu', cannot compute" in said
    assert "Cast 'cast' from uint8 to float makes 0 or 1 of every byte" in said
    assert "export it again with --target npu" in said


def test_what_a_target_lacks_is_refused_before_anything_is_compressed(project):
    model = two_layers()
    scaler = helper.make_node("Scaler", ["a"], ["r"], "scaler", domain="ai.onnx.ml", offset=[0.0], scale=[1.0])
    model.graph.node[1].CopyFrom(scaler)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    onnx.save_model(model, project / "s.onnx")
    said = refused(project, "export", project / "s.onnx", "--int8", "static", "--target", "tensorrt")
    assert "TensorRT, which runs the model on target 'tensorrt', cannot compute" in said
    assert "Scaler 'scaler' is not there" in said


def test_what_int8_would_compute_wrongly_is_put_back_into_float_before_it_ships(project, monkeypatch):
    model = two_layers()
    model.graph.node[1].CopyFrom(helper.make_node("Clip", ["a", "least"], ["r"], "clip"))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "least"))
    onnx.save_model(model, project / "m.onnx")
    monkeypatch.setattr("edgefair.compress.quantization.placement.Graph._holds_zero", lambda self, clamp: True)
    monkeypatch.setattr("edgefair.compress.low_precision.static.small_layers", lambda prepared: frozenset())
    report = exported(project, project / "m.onnx", "--int8", "static", "--no-repair")
    assert any(note.startswith("'wide' stays in float, as its INT8 form is wrong") for note in report["notes"])
    settings = json.loads((project / "dist/small/manifest.json").read_text())["settings"]
    assert settings["float_nodes"] == ["wide"]
    explained = run("explain", project / "dist/small", "-c", project / "edgefair.yaml", "--rows", 4, "--json")
    assert explained.exit_code == 0, explained.output
    assert [layer["node"] for layer in json.loads(explained.stdout)["layers"]] == ["last"]


def test_layers_that_are_too_small_to_gain_are_named_among_those_in_float(project):
    exported(project, project / "m.onnx", "--int8", "--no-repair")
    bundle = project / "dist/small"
    settings = json.loads((bundle / "manifest.json").read_text())["settings"]
    types = {item.name: item.data_type for item in onnx.load_model(bundle / "model.onnx").graph.initializer}
    assert settings["float_nodes"] == ["last"]
    assert types["w1"] == TensorProto.FLOAT
    assert "w0" not in types
    explained = run("explain", bundle, "-c", project / "edgefair.yaml", "--rows", 4, "--json")
    assert explained.exit_code == 0, explained.output


def test_convolutions_stay_in_float_where_int8_is_dynamic_and_the_manifest_names_them(project):
    model = two_layers()
    shape = numpy_helper.from_array(np.array([-1, 1, WIDTH], np.int64), "shape")
    back = numpy_helper.from_array(np.array([-1, WIDTH], np.int64), "back")
    model.graph.initializer.extend([shape, back, numpy_helper.from_array(np.ones((1, 1, 1), np.float32), "k")])
    model.graph.node[0].input[0] = "flat"
    before = [
        helper.make_node("Reshape", ["x", "shape"], ["wave"], "reshape"),
        helper.make_node("Conv", ["wave", "k"], ["filtered"], "filter"),
        helper.make_node("Reshape", ["filtered", "back"], ["flat"], "flatten"),
    ]
    for node in reversed(before):
        model.graph.node.insert(0, node)
    onnx.save_model(model, project / "conv.onnx")
    report = exported(project, project / "conv.onnx", "--int8", "dynamic", "--no-repair")
    assert report["settings"]["float_nodes"] == ["filter"]


def test_half_precision_of_every_layer_leaves_none_to_name(project):
    assert "float_nodes" not in exported(project, project / "m.onnx", "--fp16", "--no-repair")["settings"]


def test_calibration_rows_that_hold_audit_rows_are_refused_before_anything_is_made(project):
    mixed = calibration(project, np.concatenate([others(60), part("test")[:40]]))
    said = refused(project, "export", project / "m.onnx", *mixed)
    assert "'mine.npz' holds audit rows: 40 of 400 equal a row of it in every feature" in said
    assert "remove these rows from the file" in said
    edit(project, compress__repair__calibrations=["mine.npz"])
    assert "'mine.npz' holds audit rows" in refused(project, "export", project / "m.onnx", "--int8", "static")


def test_training_rows_and_rows_that_were_collected_anew_calibrate_without_a_word(project):
    for rows in (part("train"), others(100)):
        report = exported(project, project / "m.onnx", *calibration(project, rows), "--no-repair")
        assert about_calibration(report) == []
        assert report["settings"]["calibration"]["source"] == "mine.npz"


def test_an_audit_row_that_chance_may_have_put_there_is_told(project):
    mine = np.concatenate([others(99), part("test")[:1]])
    report = exported(project, project / "m.onnx", *calibration(project, mine), "--no-repair")
    (note,) = about_calibration(report)
    assert note.startswith("calibration rows of 'mine.npz': 1 of 400 audit rows equal one of them")


def test_rows_that_are_all_alike_are_told(project):
    report = exported(
        project, project / "m.onnx", *calibration(project, np.repeat(others(1), 200, axis=0)), "--no-repair"
    )
    (note,) = about_calibration(report)
    assert note.startswith("calibration rows of 'mine.npz': only 1 different among 200")


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--fp16",), "FP16 has no ranges to find"),
        (("--int8", "dynamic"), "dynamic INT8 finds its ranges at run time"),
        ((), "nothing is quantized"),
    ],
)
def test_a_calibration_that_has_no_effect_is_told(project, flags, why):
    arguments = (project / "m.onnx", *flags, "--no-repair")
    (note,) = about_calibration(exported(project, *arguments, "--calibration", "int8-random"))
    assert note.startswith(f"calibration 'int8-random' has no effect: {why}")
    bundled = json.loads((project / "dist/small/report.json").read_text())
    assert note in bundled["notes"]
    assert about_calibration(exported(project, *arguments)) == []


def test_the_usual_calibration_in_the_config_is_not_called_idle(project):
    edit(project, compress__calibration="int8-balanced")
    assert about_calibration(exported(project, project / "m.onnx", "--fp16", "--no-repair")) == []


def test_files_of_external_weights_are_in_the_manifest(project):
    (project / "deep").mkdir()
    onnx.save_model(two_layers(), project / "out.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    model = onnx.load_model(project / "out.onnx", load_external_data=False)
    moved = (project / "w.bin").rename(project / "deep/w.bin")
    for item in model.graph.initializer:
        next(entry for entry in item.external_data if entry.key == "location").value = "deep/w.bin"
    (project / "out.onnx").write_bytes(model.SerializeToString())
    files = exported(project, project / "out.onnx")["settings"]["files"]
    expected = {"out.onnx": project / "out.onnx", "deep/w.bin": moved}
    assert files == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in expected.items()}


@pytest.mark.parametrize(("kind", "name"), [(TensorProto.FLOAT16, "float16"), (TensorProto.BFLOAT16, "bfloat16")])
def test_a_file_in_half_precision_is_taken_as_it_is_and_not_compressed(project, kind, name):
    onnx.save_model(narrowed(kind), project / "half.onnx")
    for flags in (["--int8"], ["--int8", "dynamic"], ["--fp16"]):
        said = refused(project, "export", project / "half.onnx", *flags)
        assert f"is in half precision: 'w0_narrow' is {name}" in said
        assert "omit --int8 and --fp16" in said
    assert exported(project, project / "half.onnx")["outcome"] == "PASS"
