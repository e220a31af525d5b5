"""The whole job on pictures and on texts: train, debias, export --int8, verify."""

import io
import json
import threading

import numpy as np
import onnx
import pytest
import yaml
from PIL import Image

from edgefair.bundle.manifest import open_bundle
from edgefair.graphs.byte_casts import byte_casts
from edgefair.measure.counts import GroupCounts
from edgefair.progress import Progress
from tests.data.layouts import published
from tests.data.pictures import make_tokenizer
from tests.e2e.commands import OF_COMMENTS, run, write_comments

EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


def change(path, **sections):
    raw = yaml.safe_load(path.read_text())
    for name, keys in sections.items():
        raw[name] = {**raw.get(name, {}), **keys} if isinstance(keys, dict) else keys
    path.write_text(yaml.safe_dump(raw))


def report_of(done, *codes):
    assert done.exit_code in (codes or (0,)), done.output[-3000:]
    return json.loads(done.stdout)


def accuracy(report):
    counts = GroupCounts.from_json(report["targets"][0]["counts"])
    correct = np.arange(len(counts.classes))
    return counts.table[..., correct, correct].sum() / counts.table.sum()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_glyphs_from_init_to_a_shipped_bundle(here):
    assert run("init", "--data", "glyphs").exit_code == 0
    config = here / "edgefair.yaml"
    glyphs = {"rows": 1500, "audit_rows": 800, "size": 16, "contrast": 0.9, "share": 0.4, "stroke": 1.0, "texture": 0.0}
    change(
        config,
        data={"glyphs": glyphs},
        model={"options": {"width": 0.125}, "picture": {"height": 16, "width": 16, "channels": 1}},
        train={"epochs": 2, "batch_rows": 64},
        policy={"max_eo_gap": 0.3},
    )
    described = json.loads(run("data", "describe", "--json", "--sheet", "s.png").stdout)
    assert described["splits"]["audit"]["cells"][0]["groups"] == {"majority": [200, 200], "minority": [200, 200]}
    assert Image.open(here / "s.png").width > 700
    trained = run("train", "--debias", "reweigh", "--json")
    assert trained.exit_code == 0, trained.output
    report = report_of(run("export", "--int8", "--json", "--no-latency"))
    assert accuracy(report) > 0.9
    assert report["reference"]["bytes"] > 2.5 * report["model"]["bytes"]
    spec = json.loads((here / "dist/glyphs/spec.json").read_text())["inputs"]
    assert [(item["name"], item["dtype"], item["picture"]["height"]) for item in spec] == [("picture", "uint8", 16)]
    for file in ("model.onnx", "reference/model.onnx"):
        assert byte_casts(onnx.load(here / "dist/glyphs" / file)) == ()
    again = report_of(run("verify", "--json", "--no-latency", "--record", "r.npz"))
    assert again["targets"][0]["counts"] == report["targets"][0]["counts"]
    compared = run("compare", "dist/glyphs", "r.npz", "--json")
    assert compared.exit_code == 0, compared.output


def test_a_training_on_pictures_ends_with_the_same_weights_interrupted_or_with_no_room_for_them(here, monkeypatch):
    from edgefair import load_config
    from edgefair.workflow.train import train

    run("init", "--data", "glyphs")
    config_path = here / "edgefair.yaml"
    change(
        config_path,
        data={"glyphs": {"rows": 200, "audit_rows": 40, "size": 12}},
        model={"options": {"width": 0.125}, "picture": {"height": 12, "width": 12, "channels": 1}},
        train={"epochs": 3, "batch_rows": 64},
    )
    monkeypatch.setattr("edgefair.data.files.lazy.cores", lambda: 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    config = load_config(config_path)
    whole = train(config, name="whole")
    roomless = load_config(config_path, {"train.memory_mb": 0})
    anew = train(roomless, name="anew")
    assert anew.weights.read_bytes() == whole.weights.read_bytes()
    assert anew.settings == whole.settings, "the room for rows decides nothing"

    class StopError(Exception):
        pass

    def stop(done, total, _what):
        if total and done > 4:
            raise StopError

    with pytest.raises(StopError) as stopped:
        train(roomless, name="broken", progress=Progress(stop))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")], stopped
    assert train(config, name="broken").weights.read_bytes() == whole.weights.read_bytes()


def test_emoji_people_of_a_skewed_split_are_inconclusive_and_say_how_many_rows_are_needed(here):
    run("init", "--data", "emoji-people")
    change(
        here / "edgefair.yaml",
        data={
            "positive": "woman",
            "where": {"presentation": ["man", "woman"]},
            "merge": {"skin_tone": {"light": ["1", "2", "3"], "dark": ["4", "5"]}},
            "thin": [{"where": {"skin_tone": "dark"}, "keep": 0.1}],
            "split": {"audit_fraction": 0.5},
        },
        model={"options": {"width": 0.125}, "picture": {"height": 24, "width": 24}},
        train={"epochs": 1, "batch_rows": 32},
        policy={"attributes": {"skin_tone": {"groups": ["light", "dark"]}}},
    )
    assert run("train", "--name", "plain").exit_code == 0
    done = run("export", "--int8", "--no-latency", "--min-balanced-accuracy", "0.01", "--json")
    report = report_of(done, 1, 3)
    gate = next(item for item in report["targets"][0]["verdict"]["gates"] if "equalized" in item["name"])
    assert gate["outcome"] in {"INCONCLUSIVE", "FAIL"}
    cells = json.loads(run("data", "describe", "--json").stdout)["splits"]["audit"]["cells"]
    described = cells[0]["groups"]
    plan = run("plan", "--simulations", "50", "--json")
    assert plan.exit_code == 3, plan.output
    planned = json.loads(plan.stdout)
    assert planned["counted"] == "subjects"
    cells = {cell["group"]: cell["rows"] for cell in planned["attributes"][0]["cells"]}
    # One emoji in its tones and by two vendors is one subject: five pictures by each vendor count once per group.
    assert cells["light"] == cells["dark"]
    assert sum(cells["light"]) * 6 == sum(described["light"])


def red_pictures(folder, entries):
    """Every emotion another shade, so that a network can tell seven of them apart."""
    rng = np.random.default_rng(0)
    for index, (name, (emotion, *_)) in enumerate(entries.items()):
        pixels = rng.integers(0, 40, (16, 16, 3), dtype=np.uint8)
        pixels[:, :, 0] = 30 * int(emotion) + index % 7
        pixels[4:8, :, 1] = 35 * (7 - int(emotion))
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        path = folder / f"basic/Image/aligned/{name.removesuffix('.jpg')}_aligned.jpg"
        path.write_bytes(stream.getvalue())


def test_seven_classes_of_a_published_layout(here):
    rng = np.random.default_rng(0)
    entries = {}
    for split, rows in (("train", 420), ("test", 280)):
        for row in range(rows):
            gender = "2" if row % 70 == 0 else str(row // 7 % 2)
            entries[f"{split}_{row:05d}.jpg"] = (row % 7 + 1, gender, str(int(rng.integers(3))), "2")
    published.raf_db(here / "faces", entries, kinds=("aligned",))
    red_pictures(here / "faces", entries)
    (here / "faces/basic/Image/aligned/train_00007_aligned.jpg").write_bytes(b"")
    done = run("init", "--data", "faces", "--layout", "raf-db", "--label", "emotion", "--sensitive", "gender")
    assert done.exit_code == 0, done.output
    change(
        here / "edgefair.yaml",
        data={"classes": list(EMOTIONS), "where": {"gender": ["male", "female"]}},
        model={
            "network": "fer-cnn",
            "options": {"width": 0.125, "dropout": 0.0},
            "picture": {"height": 16, "width": 16},
        },
        train={"epochs": 12, "batch_rows": 16, "learning_rate": 0.01},
        policy={"max_eo_gap": 0.9, "min_balanced_accuracy": 0.05, "on_inconclusive": "warn"},
    )
    described = json.loads(run("data", "describe", "--json").stdout)
    assert [(item["reason"], item["count"]) for item in described["skipped"]] == [("empty file", 1)]
    trained = run("train", "--debias", "reweigh", "--debias", "eo-penalty")
    assert trained.exit_code == 0, trained.output
    report = report_of(run("export", "--int8", "--no-latency", "--json"), 0, 1)
    counts = GroupCounts.from_json(report["targets"][0]["counts"])
    assert counts.classes == EMOTIONS
    assert accuracy(report) > 0.5
    assert any(
        "left out: 1 empty file (basic/Image/aligned/train_00007_aligned.jpg)" in note for note in report["notes"]
    )


def test_texts_from_init_to_a_shipped_bundle(here):
    make_tokenizer(here / "tok")
    write_comments(here, ["the", "a", "cat", "dog", "sat", "there", "very", "you", "they"], 12)
    assert run("init", *OF_COMMENTS).exit_code == 0
    change(
        here / "edgefair.yaml",
        model={"options": {"width": 32, "depth": 1, "heads": 2, "dropout": 0.0}, "text_length": 12},
        train={"epochs": 3, "batch_rows": 32, "learning_rate": 0.003},
        policy={"max_eo_gap": 0.2},
    )
    assert run("train", "--name", "plain").exit_code == 0
    report = report_of(run("export", "--int8", "--no-latency", "--json"))
    assert accuracy(report) > 0.95
    assert any("were truncated" in note for note in report["notes"])
    bundle = open_bundle(here / "dist/comments")
    assert bundle.manifest.settings["int8"] == "dynamic"
    assert "tokenizer.json" in bundle.manifest.files
    tokenizer = json.loads((here / "tok/tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["zebra"] = len(tokenizer["model"]["vocab"])
    (here / "tok/tokenizer.json").write_text(json.dumps(tokenizer))
    refused = run("verify", "--no-latency")
    assert refused.exit_code == 2
    assert "is not the model's" in refused.stderr


def test_rows_of_a_dynamically_quantized_model_do_not_decide_about_each_other(here):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from edgefair.compress.quantization.dynamic import quantize_dynamic
    from edgefair.probe.runtimes.models import load

    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["logits"])],
        "line",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save_model(quantize_dynamic(model, reduce_range=False), here / "d.onnx")
    options = {"threads": 1, "providers": ["CPUExecutionProvider"], "optimization": "all", "config": {}}
    loaded = load(str(here / "d.onnx"), options)
    assert loaded.row_by_row
    x = np.array([[0.01, 0.02, -0.01, 0.03], [100.0, -50.0, 3.0, 7.0]], dtype=np.float32)
    together = loaded.run({"x": x}, ["logits"])["logits"]
    alone = loaded.run({"x": x[:1]}, ["logits"])["logits"]
    assert np.array_equal(together[:1], alone)
    assert not np.allclose(loaded.session.run(["logits"], {"x": x})[0][:1], alone, rtol=0.05)
