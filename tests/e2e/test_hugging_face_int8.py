"""`edgefair export hf:FOLDER --int8`, from a folder that save_pretrained wrote to a bundle, or to a blocked report."""

import json

import numpy as np
import onnx
import onnxruntime
import pyarrow
import pyarrow.parquet
import pytest
import torch
import yaml
from onnx import TensorProto

import edgefair
from edgefair.bundle.manifest import open_bundle
from edgefair.data.dataset import load
from edgefair.measure.counts import GroupCounts
from edgefair.probe.inputs.prepare import prepare
from edgefair.probe.onnx_files.spec_check import spec_from_json
from tests.data.pictures import jpeg, make_tokenizer
from tests.e2e.commands import run

transformers = pytest.importorskip("transformers")
pytest.importorskip("optimum.exporters.onnx")

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
LABELS = {0: "no", 1: "yes"}
QUICK = ("--int8", "--no-repair", "--no-latency", "--json", "--on-inconclusive", "warn")


def write(folder, columns, **data):
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "rows.parquet")
    raw = {
        "project": "p",
        "data": {"source": "rows.parquet", "label": "label", "positive": "yes", "sensitive": ["sex"], **data},
        "policy": {"max_eo_gap": 0.9, "min_balanced_accuracy": 0.1, "attributes": {"sex": {"groups": ["F", "M"]}}},
    }
    (folder / "edgefair.yaml").write_text(yaml.safe_dump(raw))


def centre(model, **inputs):
    """Let a random network decide for either class."""
    with torch.no_grad():
        logits = model.eval()(**inputs).logits
        model.classifier.weight *= 1 / (logits[:, 1] - logits[:, 0]).std()
        logits = model(**inputs).logits
        model.classifier.bias -= (logits - logits.mean(dim=1, keepdim=True)).median(dim=0).values


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A ViT and its processor in `hf`, and pictures that it never saw."""
    rows = 240
    columns = {
        "image": [jpeg(row, side=24) for row in range(rows)],
        "label": ["yes" if row > 120 else "no" for row in range(rows)],
        "sex": ["F", "F", "M", "M"] * (rows // 4),
    }
    write(tmp_path, columns, picture="image")
    torch.manual_seed(0)
    config = transformers.ViTConfig(image_size=32, patch_size=8, id2label=LABELS, **SIZES)
    model = transformers.ViTForImageClassification(config)
    centre(model, pixel_values=torch.randn(100, 3, 32, 32))
    model.save_pretrained(tmp_path / "hf")
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "hf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """A BERT and its tokenizer in `hf`, and texts that it never saw."""
    make_tokenizer(tmp_path / "hf")
    vocabulary = json.loads((tmp_path / "hf/tokenizer.json").read_text())["model"]["vocab"]
    words = [word for word in vocabulary if not word.startswith("[")]
    rng = np.random.default_rng(0)
    columns = {
        "comment": [" ".join(rng.choice(words, rng.integers(1, 30))) for _ in range(600)],
        "label": ["no", "yes"] * 300,
        "sex": ["F", "F", "M", "M"] * 150,
    }
    write(tmp_path, columns, text="comment", tokenizer="hf")
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(vocabulary), max_position_embeddings=24, id2label=LABELS, **SIZES)
    model = transformers.BertForSequenceClassification(config)
    centre(model, input_ids=torch.randint(2, len(vocabulary), (200, 24)))
    model.save_pretrained(tmp_path / "hf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def exported():
    done = run("export", "hf:hf", *QUICK)
    assert done.exit_code == 0, (done.output or str(done.exception))[:3000]
    return json.loads(done.stdout)


def counted(folder):
    """Counts of the bundle's INT8 file by onnxruntime alone, one row at a time."""
    data = load(edgefair.load_config(folder / "edgefair.yaml").data, base=folder, roles=("audit",))
    spec = spec_from_json((folder / "dist/p/spec.json").read_text())
    session = onnxruntime.InferenceSession(folder / "dist/p/model.onnx", providers=["CPUExecutionProvider"])
    decisions = []
    for batch in data.audit.inputs(spec, 64):
        inputs = prepare(batch, spec.inputs)
        for row in range(len(next(iter(inputs.values())))):
            (logits,) = session.run(["logits"], {name: array[row : row + 1] for name, array in inputs.items()})
            decisions.append(int(logits.argmax()))
    return GroupCounts.from_rows(
        data.audit.sensitive, label=data.audit.label, decision=np.array(decisions), classes=data.classes
    )


def operators(path):
    return {node.op_type for node in onnx.load(path).graph.node}


def int8_share(path):
    """Share of the numbers in a file's weights that are INT8."""
    weights = [(item.data_type, np.prod(item.dims)) for item in onnx.load(path).graph.initializer if len(item.dims) > 1]
    return sum(size for kind, size in weights if kind == TensorProto.INT8) / sum(size for _, size in weights)


def test_a_vision_transformer_becomes_static_int8_that_is_judged_as_it_is_shipped(pictures):
    report = exported()
    bundle = open_bundle(pictures / "dist/p")
    assert bundle.manifest.settings["int8"] == "static"
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators(bundle.model)
    assert not operators(bundle.reference) & {"QuantizeLinear", "DequantizeLinear"}
    assert int8_share(bundle.model) > 0.7
    assert report["model"]["bytes"] < report["reference"]["bytes"]
    found = GroupCounts.from_json(report["targets"][0]["counts"])
    np.testing.assert_array_equal(found.table, counted(pictures).table)
    assert (found.table.sum(axis=(0, 1)) > 0).all(), "it decides for both classes"


def test_a_text_classifier_becomes_dynamic_int8_and_a_blocked_one_keeps_the_old_bundle(texts):
    report = exported()
    bundle = open_bundle(texts / "dist/p")
    assert bundle.manifest.settings["int8"] == "dynamic"
    assert "DynamicQuantizeLinear" in operators(bundle.model)
    assert int8_share(bundle.model) > 0.9
    found = GroupCounts.from_json(report["targets"][0]["counts"])
    np.testing.assert_array_equal(found.table, counted(texts).table)
    shipped = bundle.model.read_bytes()

    raw = yaml.safe_load((texts / "edgefair.yaml").read_text())
    raw["policy"]["min_balanced_accuracy"] = 0.9
    (texts / "edgefair.yaml").write_text(yaml.safe_dump(raw))
    done = run("export", "hf:hf", *QUICK)
    assert done.exit_code == 1, done.output
    blocked = json.loads((texts / "dist/p.blocked.json").read_text())
    assert blocked["outcome"] == "FAIL"
    assert blocked["targets"][0]["verdict"]["outcome"] == "FAIL"
    assert blocked["targets"][0]["counts"] == report["targets"][0]["counts"]
    assert bundle.model.read_bytes() == shipped
