"""Architectures of the Hugging Face hub decide as transformers' own pipeline, whichever exporter converts them."""

import io
import sys

import numpy as np
import onnx
import onnxruntime
import pyarrow
import pyarrow.parquet
import pytest
import yaml

import edgefair
from edgefair.data.dataset import load
from edgefair.errors import ModelError
from edgefair.exporters.hugging_face import from_hugging_face
from edgefair.probe.inputs.prepare import prepare
from edgefair.progress import silent
from edgefair.workflow.models.convert import convert_model

transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
from tests.exporters.hub_zoo import (  # noqa: E402
    PICTURES,
    TEXTS,
    need_torch_for,
    save_pictures,
    save_texts,
    some_pictures,
    some_texts,
)

# What optimum does not know, or writes with branches, is exported by torch, with it and without it.
pytestmark = pytest.mark.usefixtures("traced_once")
ROWS, EXPORTERS = 6, ("optimum", "torch.onnx")


@pytest.fixture(params=EXPORTERS)
def exporter(request, monkeypatch):
    if request.param == "optimum":
        pytest.importorskip("optimum.exporters.onnx")
    else:
        monkeypatch.setitem(sys.modules, "optimum.exporters.onnx", None)
    return request.param


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a model by its name."""
    root = tmp_path_factory.mktemp("hub")

    def folder(name):
        if not (root / name).exists():
            (save_pictures if name in PICTURES else save_texts)(root / name, name)
        return root / name

    return folder


def png(picture):
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def project(folder, column, values, **data):
    """A config for rows that hold `values`, all of which audit."""
    rows = len(values)
    columns = {column: values, "label": ["no", "yes"] * (rows // 2), "sex": ["F", "F", "M", "M"] * rows}
    columns["sex"] = columns["sex"][:rows]
    columns["part"] = ["test"] * rows
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "rows.parquet")
    raw = {
        "project": "p",
        "data": {
            "source": "rows.parquet",
            "label": "label",
            "positive": "yes",
            "sensitive": ["sex"],
            "split": {"column": "part", "train": [], "audit": ["test"]},
            **data,
        },
        "policy": {"max_eo_gap": 0.9, "attributes": {"sex": {"groups": ["F", "M"]}}},
        "model": {"text_length": 32},
    }
    (folder / "edgefair.yaml").write_text(yaml.safe_dump(raw))
    return edgefair.load_config(folder / "edgefair.yaml")


def scores_here(config, hub, to):
    """P(class) of every row, by the file and the spec that are judged."""
    data = load(config.data, base=config.base, roles=("audit",))
    reference = convert_model(config, data, f"hf:{hub}", weights=None, to=to, progress=silent)
    session = onnxruntime.InferenceSession(reference.path, providers=["CPUExecutionProvider"])
    found = []
    for batch in data.audit.inputs(reference.spec, ROWS):
        (logits,) = session.run(["logits"], prepare(batch, reference.spec.inputs))
        found.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    return np.concatenate(found)


def scores_of(pipeline, values):
    rows = [{item["label"]: item["score"] for item in pipeline(value, top_k=None)} for value in values]
    return np.array([[row["no"], row["yes"]] for row in rows])


def assert_alike(found, expected):
    assert np.abs(found - expected).max() < 1e-3
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert np.ptp(expected[:, 1]) > 0.01, "the rows differ"


# `make test-architectures` exports what takes seconds.
SECONDS = {(name, "torch.onnx") for name in ("efficientnet", "levit", "levit with a teacher", "mobilevit")}
EXPORTED = [
    pytest.param(name, by, marks=[pytest.mark.long] * ((name, by) in SECONDS)) for name in PICTURES for by in EXPORTERS
]


@pytest.mark.parametrize(("name", "exporter"), EXPORTED, indirect=["exporter"])
def test_a_picture_model_scores_as_the_pipeline_of_transformers(name, exporter, saved, tmp_path):
    need_torch_for(name)
    pictures = some_pictures(ROWS)
    config = project(tmp_path, "image", [png(picture) for picture in pictures], picture="image")
    hub = saved(name)
    # By Pillow, as edgefair: transformers 5 prefers torchvision, which rounds a value otherwise.
    processor = transformers.AutoImageProcessor.from_pretrained(hub, use_fast=False)
    pipeline = transformers.pipeline("image-classification", model=str(hub), image_processor=processor)
    assert_alike(scores_here(config, hub, tmp_path / "m.onnx"), scores_of(pipeline, pictures))


@pytest.mark.parametrize("name", [name for name in TEXTS if name != "xlnet"])
def test_a_text_model_scores_as_the_pipeline_of_transformers(name, exporter, saved, tmp_path):
    need_torch_for(name)
    texts = some_texts(ROWS)
    hub = saved(name)
    config = project(tmp_path, "comment", texts, text="comment", tokenizer=str(hub))
    pipeline = transformers.pipeline("text-classification", model=str(hub))
    to = tmp_path / "m.onnx"
    assert_alike(scores_here(config, hub, to), scores_of(pipeline, texts))
    written = {node.op_type for node in onnx.load(to).graph.node}
    assert not written & {"If", "Loop", "Scan"}, "branches cannot become INT8"


def test_a_model_that_padding_misleads_is_refused_before_it_is_converted(saved, monkeypatch):
    def refuse(*_):
        raise AssertionError("it was converted")

    monkeypatch.setattr("edgefair.exporters.hugging_face.graph_of", refuse)
    with pytest.raises(ModelError, match=r"XLNetForSequenceClassification .* different logits when padding follows"):
        from_hugging_face(saved("xlnet"))
