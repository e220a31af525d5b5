"""The brightness case (`tests/compress/quantization/brightness.py`) as a project of pictures and a model file."""

import io

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet
import pytest
import yaml
from PIL import Image

from edgefair.targets import load_profile, transport_of
from tests.compress.quantization.brightness import brightness_model, brightness_rows

ROWS = 400
CONFIG = """\
project: stripes
data:
  source: pictures.parquet
  picture: picture
  label: stripes
  classes: [horizontal, vertical]
  sensitive: [light]
  validation: 0.5
  split: {column: part, train: [train], audit: [audit]}
model:
  picture: {height: 16, width: 16, channels: 1, mean: 0.0, std: 1.0}
policy:
  max_eo_gap: 0.2
  attributes:
    light: {groups: [dark, bright]}
"""


def write_stripes(folder):
    """A project whose model `stripes.onnx` decides bright and dark pictures alike, and the same in INT8 unless its sums
    saturate."""
    tables = []
    for seed, part in enumerate(("train", "audit")):
        pictures, label, group = brightness_rows(ROWS, seed)
        columns = {
            "picture": [_png(picture[0]) for picture in pictures],
            "stripes": np.array(["horizontal", "vertical"])[label],
            "light": np.array(["dark", "bright"])[group],
            "part": [part] * ROWS,
        }
        tables.append(pyarrow.table(columns))
    pyarrow.parquet.write_table(pyarrow.concat_tables(tables), folder / "pictures.parquet")
    (folder / "edgefair.yaml").write_text(CONFIG)
    onnx.save_model(brightness_model(), folder / "stripes.onnx")


def _png(picture):
    stream = io.BytesIO()
    Image.fromarray(np.round(picture * 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def haswell():
    """The shipped profile of the emulated processor; skips where there is no QEMU."""
    profile = load_profile("qemu:haswell")
    lacks = transport_of(profile).lacks()
    if lacks is not None:
        pytest.skip(lacks)
    return profile


def write_haswell(folder, *, reduce_range):
    """Path of a profile like `qemu:haswell` with its own say on 7-bit weights; skips where there is no QEMU."""
    profile = haswell()
    keys = profile.model_dump(mode="json", exclude_unset=True)
    path = folder / "haswell.yaml"
    path.write_text(yaml.safe_dump({**keys, "name": "haswell", "reduce_range": reduce_range}))
    return path


def gaps(report):
    """Target -> the gap of its verdict."""
    return {item["target"]: item["verdict"]["attributes"][0]["gap"] for item in report["targets"]}


def outcomes(report):
    """Target -> its verdict."""
    return {item["target"]: item["verdict"]["outcome"] for item in report["targets"]}
