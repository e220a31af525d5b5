"""The undamaged files that every surface starts from: tables, a fair and an unfair model, and what was made of them."""

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pyarrow
import pyarrow.csv
import pyarrow.parquet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

ROWS = 3000
CONFIG = """\
project: people
seed: 0
data:
  source: people.parquet
  label: label
  positive: "yes"
  sensitive: [sex]
  id: id
  features: [a, b]
model: {options: {hidden: [8]}, threshold: 0.5}
train: {epochs: 1, batch_rows: 512}
debias: {train: []}
compress: {calibration: int8-balanced}
targets: [local]
policy:
  max_eo_gap: 0.1
  alpha: 0.05
  min_balanced_accuracy: 0.6
  attributes:
    sex: {groups: [f, m]}
  waivers:
    - {comparison: "sex: TPR, f / m", reason: pilot, owner: Ada, expires: 2099-01-31}
"""
PROFILE = """\
name: board
about: a board
transport: local
threads: 1
providers: [CPUExecutionProvider]
optimization: all
config: {session.intra_op.allow_spinning: "0"}
device: {machine: null, flags: []}
latency: {warmup: 1, min_queries: 2, min_seconds: 0.0, max_seconds: 0.1}
budgets: {max_latency_p90_ms: 20.0, max_size_bytes: 5000000}
"""


def make(folder: Path) -> None:
    """Write the project, its record (of an unfair model: it FAILs) and its signed bundle (of a fair one)."""
    folder.mkdir(parents=True, exist_ok=True)
    _tables(folder)
    _model(folder / "fair.onnx", (2.0, 0.0))
    _model(folder / "unfair.onnx", (2.0, 3.0))
    (folder / "edgefair.yaml").write_text(CONFIG)
    (folder / "board.yaml").write_text(PROFILE)
    _keys(folder)
    _pictures(folder / "pictures")
    _tokenizer(folder / "tok")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(folder / "pipe")


def _tables(folder):
    rng = np.random.default_rng(0)
    sex, label = rng.integers(0, 2, ROWS), rng.integers(0, 2, ROWS)
    columns = {
        "id": [f"r{row}" for row in range(ROWS)],
        "a": ((2 * label - 1) + rng.normal(0, 0.6, ROWS)).astype(np.float32),
        "b": (sex * (1 - 2 * label) * 0.9 + rng.normal(0, 0.05, ROWS)).astype(np.float32),
        "sex": np.array(["f", "m"])[sex].tolist(),
        "label": np.where(label == 1, "yes", "no").tolist(),
    }
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(table, folder / "people.parquet")
    small = table.slice(0, 120)
    pyarrow.parquet.write_table(small, folder / "small.parquet")
    pyarrow.csv.write_csv(small, folder / "small.csv")
    arrays = {name: small.column(name).to_numpy(zero_copy_only=False) for name in columns}
    arrays = {name: array.astype(str) if array.dtype == object else array for name, array in arrays.items()}
    np.savez_compressed(folder / "small.npz", **arrays)


def _model(path, weights):
    matrix = np.array([[-w, w] for w in weights], dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "W", "B"], ["logits"], name="gemm")],
        "m",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(matrix, "W"), numpy_helper.from_array(np.zeros(2, dtype=np.float32), "B")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, path)


def _keys(folder):
    key = Ed25519PrivateKey.generate()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    (folder / "key.pem").chmod(0o600)
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pub").write_bytes(public)


def _pictures(folder):
    folder.mkdir()
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (17, 23, 4), dtype=np.uint8)
    rgb = Image.fromarray(pixels[..., :3])
    for name, options in (
        ("jpg", {}), ("png", {}), ("webp", {"lossless": True}), ("bmp", {}), ("gif", {}), ("ppm", {}),
        ("tiff", {"compression": "tiff_deflate"}),
    ):  # fmt: skip
        rgb.save(folder / f"rgb.{name}", **options)
    Image.fromarray(pixels).save(folder / "rgba.png")
    rgb.quantize(16).save(folder / "palette.png", transparency=3)
    Image.fromarray(rng.integers(0, 65535, (9, 7), dtype=np.uint16)).save(folder / "deep.png")
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(folder / "turned.jpg", exif=exif)
    rgb.save(folder / "moving.gif", save_all=True, append_images=[rgb.rotate(90)])


def _tokenizer(folder):
    folder.mkdir()
    words = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3, "a": 4, "day": 5}
    content = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": 0, "content": "[PAD]", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True},
        ],
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None,
        "decoder": None, "model": {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(content))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[PAD]"}))
