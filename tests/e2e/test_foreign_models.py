"""Models that users already have go through export and verify."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow
import pyarrow.parquet
import pytest
import torch
import yaml
from torch import nn

import edgefair
from edgefair.bundle.manifest import open_bundle
from edgefair.data.dataset import load
from edgefair.data.images.decode import decoded
from edgefair.errors import ModelError, UsageError
from edgefair.measure.counts import GroupCounts
from edgefair.probe.inputs.prepare import prepare
from edgefair.probe.onnx_files.spec_check import spec_from_json
from tests.data.pictures import jpeg, make_tokenizer
from tests.e2e.commands import run

ROWS = 1200


class Line(nn.Module):
    """A tiny network over two numbers."""

    def __init__(self, outputs=2):
        super().__init__()
        self.layer = nn.Linear(2, outputs)

    def forward(self, features):
        return self.layer(features)


def build(outputs=2):
    return Line(outputs)


def build_by_contract(*, features, classes, bias=True):
    """As the docs promise that training, export and verification call it."""
    return nn.Sequential(nn.Linear(*features, classes, bias=bias))


def fitted():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype(np.float32)
    return LogisticRegression().fit(x, np.where(x[:, 0] > 0, "yes", "no"))


def fitted_otherwise():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 2)).astype(np.float32)
    return LogisticRegression(C=0.1).fit(x, np.where(x[:, 0] > 0, "yes", "no"))


def fitted_on_columns():
    import pandas
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"skill": rng.normal(size=300), "job": rng.choice(["cook", "pilot"], 300)})
    parts = [("n", StandardScaler(), ["skill"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["job"])]
    pipeline = Pipeline([("parts", ColumnTransformer(parts)), ("model", LogisticRegression())])
    return pipeline.fit(frame, np.where(frame.skill + (frame.job == "pilot") > 0, "yes", "no"))


@pytest.fixture
def table(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    columns = {
        "skill": rng.normal(size=ROWS),
        "age": rng.normal(size=ROWS),
        "job": rng.choice(["cook", "pilot"], ROWS),
        "sex": rng.choice(["F", "M"], ROWS),
    }
    columns["hired"] = np.where(columns["skill"] > 0, "yes", "no")
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "people.parquet")
    write(tmp_path, data={"source": "people.parquet", "label": "hired", "positive": "yes", "sensitive": ["sex"],
                          "features": ["skill", "age"]}, attributes={"sex": {"groups": ["F", "M"]}})  # fmt: skip
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, *, data, attributes, **sections):
    policy = {"max_eo_gap": 0.9, "min_balanced_accuracy": 0.1, "attributes": attributes}
    raw = {"project": "p", "data": data, "policy": policy, **sections}
    (folder / "edgefair.yaml").write_text(yaml.safe_dump(raw))


def accuracy(counts):
    return counts.table[..., [0, 1], [0, 1]].sum() / counts.table.sum()


def exported(*arguments):
    done = run("export", *arguments, "--no-latency", "--json", "--on-inconclusive", "warn")
    assert done.exit_code == 0, (done.output or str(done.exception))[:3000]
    return json.loads(done.stdout)


def logits_of(path, **inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["logits"], inputs)[0]


def good_weights():
    state = Line().state_dict()
    state["layer.weight"] = torch.tensor([[-4.0, 0.0], [4.0, 0.0]])
    state["layer.bias"] = torch.zeros(2)
    return state


def test_a_factory_with_its_weights(table):
    from safetensors.torch import save_file

    save_file(good_weights(), table / "w.safetensors")
    report = exported(f"{__name__}:build", "--weights", "w.safetensors", "--int8")
    assert report["outcome"] == "PASS"
    bundle = open_bundle(table / "dist/p")
    assert bundle.manifest.settings["int8"] == "static"
    assert bundle.manifest.settings["files"].keys() == {"w.safetensors"}
    again = run("verify", "--no-latency", "--on-inconclusive", "warn")
    assert again.exit_code == 0, again.output


TEMPLATE = {"network": "mlp", "options": {"hidden": [128, 64]}}


def write_model(table, model):
    raw = yaml.safe_load((table / "edgefair.yaml").read_text())
    (table / "edgefair.yaml").write_text(yaml.safe_dump({**raw, "model": model}))


def save_contract(table, **options):
    from safetensors.torch import save_file

    network = build_by_contract(features=(2,), classes=2, **options)
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[-4.0, 0.0], [4.0, 0.0]]))
    save_file(network.state_dict(), table / "w.safetensors")


@pytest.mark.parametrize("command", ["verify", "export"])
def test_verify_and_export_call_a_factory_as_training_does(table, command):
    write_model(table, TEMPLATE)
    save_contract(table)
    name = f"{__name__}:build_by_contract"
    done = run(command, name, "--weights", "w.safetensors", "--no-latency", "--max-accuracy-drop", "0.02")
    assert done.exit_code == 0, done.output


def test_one_factory_is_trained_and_verified_with_its_options(table):
    name = f"{__name__}:build_by_contract"
    write_model(table, {"network": name, "options": {"bias": False}})
    done = run("train", "--name", "own", "--set", "train.epochs=1")
    assert done.exit_code == 0, done.output
    save_contract(table, bias=False)
    done = run("verify", name, "--weights", "w.safetensors", "--no-latency")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("command", [["train"], ["verify", f"{__name__}:build_by_contract", "--weights", "w"]])
def test_an_option_that_a_factory_does_not_take_is_named(table, command):
    write_model(table, {"network": f"{__name__}:build_by_contract", "options": {"bais": False}})
    done = run(*command)
    assert done.exit_code == 2
    assert "has no option 'bais'" in done.stderr
    assert "bias" in done.stderr.partition("bais")[2]


def test_a_factory_without_weights_says_so(table):
    with pytest.raises(UsageError, match="--weights"):
        exported_raw(f"{__name__}:build")


def exported_raw(model):
    return edgefair.export(edgefair.load_config(Path("edgefair.yaml")), model=model, latency=False)


def test_a_program_of_torch_export(table):
    network = Line()
    network.load_state_dict(good_weights())
    rows = torch.export.Dim("rows")
    program = torch.export.export(network.eval(), (torch.zeros(3, 2),), dynamic_shapes=({0: rows},))
    torch.export.save(program, table / "m.pt2")
    report = exported("m.pt2", "--int8", "static")
    assert report["model"]["bytes"] > 0
    verified = run("verify", "m.pt2", "--no-latency", "--json", "--on-inconclusive", "warn")
    assert verified.exit_code == 0, verified.output
    assert json.loads(verified.stdout)["targets"][0]["verdict"]["outcome"] == report["targets"][0]["verdict"]["outcome"]


def test_a_ready_onnx_file_is_compressed_and_keeps_its_spec(table):
    from safetensors.torch import save_file

    save_file(good_weights(), table / "w.safetensors")
    exported(f"{__name__}:build", "--weights", "w.safetensors", "-o", "first")
    report = exported("first/model.onnx", "--int8", "-o", "second")
    assert report["reference"]["sha256"] == json.loads((table / "second/manifest.json").read_text())["files"][
        "reference/model.onnx"]["sha256"]  # fmt: skip
    assert any(node.op_type == "QuantizeLinear" for node in onnx.load(table / "second/model.onnx").graph.node)


@pytest.mark.parametrize(("factory", "second"), [("fitted", "age"), ("fitted_on_columns", "job")])
def test_a_scikit_learn_model(table, factory, second):
    write(table, data={"source": "people.parquet", "label": "hired", "positive": "yes", "sensitive": ["sex"],
                       "features": ["skill", second]}, attributes={"sex": {"groups": ["F", "M"]}})  # fmt: skip
    report = exported(f"{__name__}:{factory}")
    rates = GroupCounts.from_json(report["targets"][0]["counts"])
    assert accuracy(rates) > 0.7
    decided = run("verify", "--no-latency", "--on-inconclusive", "warn", "--json")
    assert json.loads(decided.stdout)["targets"][0]["counts"] == report["targets"][0]["counts"]


def test_a_skops_file(table):
    import skops.io

    skops.io.dump(fitted(), table / "m.skops")
    exported("m.skops")
    (table / "m.skops").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ModelError, match="never loaded"):
        exported_raw("m.skops")


def test_gradient_boosting_is_judged_from_its_skops_file_and_is_its_own_reference(table):
    import skops.io
    from sklearn.ensemble import GradientBoostingClassifier

    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)).astype(np.float32)
    skops.io.dump(GradientBoostingClassifier(n_estimators=5).fit(x, np.where(x[:, 0] > 0, "yes", "no")), "m.skops")
    for command in ("verify", "export"):
        done = run(command, "m.skops", "--no-latency", "--max-accuracy-drop", "0.0", "--on-inconclusive", "block")
        assert done.exit_code == 0, done.output
    done = run("export", "m.skops", "--int8", "--no-latency")
    assert done.exit_code == 2
    assert "nothing to quantize" in done.stderr


def test_a_reference_is_converted_like_a_model(table):
    import skops.io

    skops.io.dump(fitted(), "before.skops")
    exported(f"{__name__}:fitted_otherwise", "-o", "other")
    done = run(
        "verify", "other/model.onnx", "--reference", "before.skops", "--no-latency", "--json",
        "--max-accuracy-drop", "0.2",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    judged = json.loads(done.stdout)
    assert judged["reference"]["path"] == "before.skops"
    (drop,) = (item for item in judged["targets"][0]["verdict"]["gates"] if item["name"] == "accuracy drop")
    assert drop["upper"] > 0


def test_logistic_regression_on_columns_says_what_it_lacks_and_not_to_export_again(table):
    write(table, data={"source": "people.parquet", "label": "hired", "positive": "yes", "sensitive": ["sex"],
                       "features": ["skill", "job"]}, attributes={"sex": {"groups": ["F", "M"]}})  # fmt: skip
    done = run("export", f"{__name__}:fitted_on_columns", "--int8", "--no-latency")
    assert done.exit_code == 2
    assert "opset" not in done.stderr
    assert "nothing to quantize" in done.stderr


def test_classes_in_another_order_are_refused(table):
    write(table, data={"source": "people.parquet", "label": "hired", "positive": "no", "sensitive": ["sex"],
                       "features": ["skill", "age"]}, attributes={"sex": {"groups": ["F", "M"]}})  # fmt: skip
    with pytest.raises(ModelError, match=r"classes no, yes and the data yes, no[\s\S]*data.classes: \[no, yes\]"):
        exported_raw(f"{__name__}:fitted")


@pytest.fixture
def faces(tmp_path, monkeypatch):
    rows = 240
    table = {
        "image": [jpeg(row, side=24) for row in range(rows)],
        "smiling": ["yes" if row > 120 else "no" for row in range(rows)],
        "sex": ["F", "F", "M", "M"] * (rows // 4),
    }
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "faces.parquet")
    data = {"source": "faces.parquet", "label": "smiling", "positive": "yes", "sensitive": ["sex"], "picture": "image"}
    write(tmp_path, data=data, attributes={"sex": {"groups": ["F", "M"]}})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save_mobilenet(folder, labels, *, learned=True):
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification, MobileNetV2ImageProcessor

    torch.manual_seed(0)
    names = dict(enumerate(labels))
    config = MobileNetV2Config(image_size=32, depth_multiplier=0.35, id2label=names)
    model = MobileNetV2ForImageClassification(config).eval()
    processor = MobileNetV2ImageProcessor(
        size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}, image_mean=[0.5] * 3, image_std=[0.4] * 3
    )
    if learned:
        pictures = [decoded(jpeg(row, side=24), 3) for row in range(240)]
        learn(model, processor(pictures, return_tensors="pt")["pixel_values"])
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


def learn(model, pictures):
    """Tell red centres from others (see `jpeg`)."""
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    label = (torch.arange(len(pictures)) % 256 > 120).long()
    model.train()
    for part in torch.randperm(len(pictures)).repeat(6).split(48):
        loss = nn.functional.cross_entropy(model(pictures[part]).logits, label[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


def centre(model, **inputs):
    """Let a random network decide for one class as often as for the other."""
    with torch.no_grad():
        logits = model(**inputs).logits
        model.classifier.bias -= (logits - logits.mean(dim=1, keepdim=True)).median(dim=0).values


def test_a_hugging_face_folder_of_pictures(faces):
    model, processor = save_mobilenet(faces / "hf", ["no", "yes"])
    report = exported("hf:hf", "--int8")
    bundle = open_bundle(faces / "dist/p")
    data = load(edgefair.load_config(faces / "edgefair.yaml").data, base=faces, roles=("audit",))
    spec = spec_from_json((faces / "dist/p/spec.json").read_text())
    on_device = prepare(next(data.audit.inputs(spec, 8)), spec.inputs)["pixel_values"]
    files = data.audit.table.columns["image"]
    frames = [decoded(files.blobs.read(int(row)), 3) for row in files.rows[:8]]
    by_transformers = processor(frames, return_tensors="pt")["pixel_values"]
    assert np.abs(on_device - by_transformers.numpy()).max() < 1e-5
    with torch.no_grad():
        expected = model(by_transformers).logits.numpy()
    assert np.abs(logits_of(bundle.reference, pixel_values=on_device) - expected).max() < 1e-4
    assert report["reference"]["bytes"] > 2 * report["model"]["bytes"]
    verified = run("verify", "hf:hf", "--no-latency", "--on-inconclusive", "warn")
    assert verified.exit_code == 0, verified.output


def test_labels_of_a_folder_that_are_not_those_of_the_data_are_refused(faces):
    save_mobilenet(faces / "hf", ["cat", "dog"], learned=False)
    with pytest.raises(ModelError, match="the classes cat, dog and the data no, yes"):
        exported_raw("hf:hf")


def test_a_hugging_face_folder_of_texts_is_quantized_dynamically(tmp_path, monkeypatch):
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    monkeypatch.chdir(tmp_path)
    make_tokenizer(tmp_path / "hf")
    vocabulary = json.loads((tmp_path / "hf/tokenizer.json").read_text())["model"]["vocab"]
    torch.manual_seed(0)
    sizes = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2, "max_position_embeddings": 24}
    model = DistilBertForSequenceClassification(DistilBertConfig(vocab_size=len(vocabulary), **sizes)).eval()
    centre(model, input_ids=torch.randint(2, len(vocabulary), (200, 24)))
    model.save_pretrained(tmp_path / "hf")
    rng = np.random.default_rng(0)
    words = [word for word in vocabulary if not word.startswith("[")]
    texts = [" ".join(rng.choice(words, rng.integers(1, 30))) for _ in range(600)]
    columns = {"comment": texts, "toxic": ["no", "yes"] * 300, "sex": ["F", "F", "M", "M"] * 150}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "c.parquet")
    data = {"source": "c.parquet", "label": "toxic", "positive": "yes", "sensitive": ["sex"], "text": "comment",
            "tokenizer": "hf"}  # fmt: skip
    write(tmp_path, data=data, attributes={"sex": {"groups": ["F", "M"]}})
    report = exported("hf:hf", "--int8")
    bundle = open_bundle(tmp_path / "dist/p")
    assert bundle.manifest.settings["int8"] == "dynamic"
    assert "tokenizer.json" in bundle.manifest.files
    ids = rng.integers(1, len(vocabulary), (3, 24))
    mask = np.ones_like(ids)
    with torch.no_grad():
        expected = model(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()
    assert np.abs(logits_of(bundle.reference, input_ids=ids, attention_mask=mask) - expected).max() < 1e-4
    assert any("longer than the model's 24 tokens" in note for note in report["notes"])
