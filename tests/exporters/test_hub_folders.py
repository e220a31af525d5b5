"""Published classifiers are judged as they were published, and become INT8 though a tracer would write branches."""

import json

import pyarrow
import pyarrow.parquet
import pytest
import yaml
from click.testing import CliRunner

from edgefair.cli import main

transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

from tests.exporters.hub_zoo import save_pictures, save_texts, some_pictures, some_texts  # noqa: E402
from tests.exporters.test_hub_architectures import png  # noqa: E402

pytestmark = pytest.mark.usefixtures("traced_once")
ROWS = 120


def write(folder, values, **data):
    columns = {
        "x": values,
        "label": ["no", "yes"] * (ROWS // 2),
        "sex": ["F", "F", "M", "M"] * (ROWS // 4),
        "part": ["train", "train", "train", "train", "test", "test", "test", "test"] * (ROWS // 8),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "rows.parquet")
    split = {"column": "part", "train": ["train"], "audit": ["test"]}
    raw = {
        "project": "p",
        "data": {
            "source": "rows.parquet",
            "label": "label",
            "positive": "yes",
            "sensitive": ["sex"],
            "equal_rows": "people",
            "split": split,
            **data,
        },
        "policy": {"max_eo_gap": 0.95, "attributes": {"sex": {"groups": ["F", "M"]}}},
        "model": {"text_length": 32},
    }
    (folder / "edgefair.yaml").write_text(yaml.safe_dump(raw))


def test_verify_counts_what_the_pipeline_of_transformers_decides(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = some_pictures(ROWS)
    save_pictures(tmp_path / "hf", "clip")
    write(tmp_path, [png(picture) for picture in pictures], picture="x")
    flags = ["--no-latency", "--json", "--on-inconclusive", "warn"]
    done = CliRunner().invoke(main, ["verify", "hf:hf", *flags])
    assert done.exit_code in {0, 1}, done.output
    pipeline = transformers.pipeline("image-classification", model="hf")
    judged = [picture for row, picture in enumerate(pictures) if row % 8 >= 4]
    decided = [item[0]["label"] for item in pipeline(judged)]
    # [groups, labels, decisions]
    table = json.loads(done.stdout)["targets"][0]["counts"]["table"]
    found = [sum(cell[k] for group in table for cell in group) for k in range(2)]
    assert found == [decided.count("no"), decided.count("yes")]
    assert all(found), "it decides for both classes"


def test_deberta_becomes_int8(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_texts(tmp_path / "hf", "deberta-v2")
    write(tmp_path, some_texts(ROWS), text="x", tokenizer="hf")
    flags = ["--int8", "--no-repair", "--no-latency", "--json", "--on-inconclusive", "warn"]
    done = CliRunner().invoke(main, ["export", "hf:hf", *flags])
    assert done.exit_code in {0, 1}, done.output
    assert json.loads(done.stdout)["model"]["bytes"] < json.loads(done.stdout)["reference"]["bytes"]
