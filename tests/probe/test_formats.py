"""What a file of a format says of itself, and that damaged ones are refused and never run away."""

import contextlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefair.errors import ModelError
from edgefair.probe.formats import NAMES, format_named, format_of
from edgefair.probe.formats.appended import appended, with_appended
from edgefair.probe.runtimes.litert import dequantize, quantize
from edgefair.targets import load_profile
from edgefair.targets.loaded import read_model
from edgefair.targets.running import running
from tests.targets.onnx_models import classifier

FILES = Path(__file__).parent.parent / "samples"

FLATBUFFERS = ("tflite", "executorch")
MODEL = b"\x18\x00\x00\x00TFL3" + bytes(200)


def test_every_format_has_a_name_and_a_suffix_of_its_own(tmp_path):
    formats = [format_named(name) for name in NAMES]
    assert len({item.name for item in formats}) == len({item.suffix for item in formats}) == len(NAMES)
    content = classifier(tmp_path / "m.onnx").read_bytes()
    assert format_of(content) is format_named("onnx")
    assert format_of(b"\x18\x00\x00\x00TFL3" + bytes(40)) is format_named("tflite")
    assert format_of(b"\x18\x00\x00\x00ET12" + bytes(40)) is format_named("executorch")
    assert format_of(b"\xff\xff\xff\x00TFL3" + bytes(40)) is format_named("onnx"), "its root lies beyond its end"


def test_texts_behind_a_model_replace_older_ones_and_leave_its_bytes_and_the_other_members():
    once = with_appended(MODEL, {"edgefair.spec": "a", "b": "ä"})
    assert once.startswith(MODEL)
    assert appended(once) == {"edgefair.spec": "a", "b": "ä"}
    twice = with_appended(once, {"edgefair.spec": "c"})
    assert twice.startswith(MODEL)
    assert appended(twice) == {"edgefair.spec": "c"}
    assert with_appended(MODEL, {"edgefair.spec": "c"}) == twice, "the same texts give the same bytes"
    assert appended(MODEL) == {}


def test_labels_of_the_model_stay_beside_the_texts(tmp_path):
    stream = io.BytesIO(MODEL)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("labels.txt", "no\nyes\n")
    made = with_appended(with_appended(stream.getvalue(), {"k": "1"}), {"k": "2"})
    assert appended(made) == {"k": "2"}
    assert zipfile.ZipFile(io.BytesIO(made)).read("labels.txt") == b"no\nyes\n"


@pytest.mark.parametrize("name", FLATBUFFERS)
def test_random_bytes_are_refused_or_read_and_nothing_else_happens(name):
    kind, rng = format_named(name), np.random.default_rng(0)
    identifier = {"tflite": b"TFL3", "executorch": b"ET12"}[name]
    for size in rng.integers(0, 400, 400):
        content = rng.integers(0, 256, size).astype(np.uint8).tobytes()
        content = int(rng.integers(8, 64)).to_bytes(4, "little") + identifier + content
        for look in (kind.check_whole, kind.read):
            with contextlib.suppress(ValueError):
                look(content)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
def test_quantizing_rounds_half_away_from_zero_and_is_cut_to_the_type(dtype):
    info = np.iinfo(dtype)
    zero = 0 if dtype == np.int16 else 3
    real = np.array([0.25, -0.25, 0.2499, 1e9, -1e9, 0.0], np.float32)
    whole = quantize(real, 0.5, zero, np.dtype(dtype))
    assert whole.tolist() == [zero + 1, max(zero - 1, info.min), zero, info.max, info.min, zero]
    held = np.arange(info.min, info.max + 1, max(1, (info.max - info.min) // 255)).astype(dtype)
    assert np.array_equal(quantize(dequantize(held, 0.05, zero), 0.05, zero, np.dtype(dtype)), held)


FLOAT = {"type": "tensor(float)"}
SAMPLES = {
    "linear.tflite": ([{"name": "x", "shape": [None, 2], **FLOAT}], [{"name": "score", "shape": [None, 2], **FLOAT}]),
    "quantized.tflite": (
        [{"name": "x", "shape": [1, 2], "step": pytest.approx(0.05), **FLOAT}],
        [{"name": "score", "shape": [1, 2], "step": 1 / 256, **FLOAT}],
    ),
    "linear.pte": ([{"name": "input_0", "shape": [1, 2], **FLOAT}], [{"name": "output_0", "shape": [1, 2], **FLOAT}]),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_is_read_without_its_runtime(name):
    content = (FILES / name).read_bytes()
    kind = format_of(content)
    assert kind.suffix == (FILES / name).suffix
    kind.check_whole(content)
    found = kind.read(content)
    assert (list(found.inputs), list(found.outputs)) == SAMPLES[name]
    assert found.few_bits == ("quantized tensor 'x' (int8)" if name.startswith("q") else None)
    assert kind.read(with_appended(content, {"edgefair.spec": "{}"})) == replace(
        found, metadata={"edgefair.spec": "{}"}
    )


@pytest.mark.parametrize("name", SAMPLES)
def test_a_damaged_file_is_refused_or_read_and_nothing_else_happens(name):
    whole, rng = (FILES / name).read_bytes(), np.random.default_rng(0)
    kind, refused = format_of(whole), 0
    for _ in range(300):
        content = bytearray(whole[: rng.integers(8, len(whole) + 1)] if rng.random() < 0.3 else whole)
        for place in rng.integers(0, len(content), rng.integers(1, 6)):
            content[place] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
        try:
            kind.check_whole(bytes(content))
            kind.read(bytes(content))
        except ValueError:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_is_refused_where_the_target_has_another_runtime(name):
    content = (FILES / name).read_bytes()
    with pytest.raises(ModelError) as caught:
        running(load_profile("local"), content, FILES / name, beside=False)
    assert "and target 'local' runs onnxruntime, which reads ONNX" in str(caught.value)
    assert "ONNX (.onnx), TFLite (.tflite), ExecuTorch (.pte)" in str(caught.value)
    beside = running(load_profile("local"), content, FILES / name, beside=True)
    assert beside.runtime.format is format_of(content)
    assert not beside.own


def test_a_file_that_is_no_model_names_the_formats_that_are_known(tmp_path):
    (tmp_path / "m.h5").write_bytes(b"\x89HDF\r\n")
    with pytest.raises(ModelError, match=r"ONNX file, or TFLite \(.tflite\), or ExecuTorch \(.pte\)"):
        read_model(tmp_path / "m.h5")
