"""What a file of a format says of itself, and that damaged ones are refused and never run away."""

import contextlib

import numpy as np
import pytest

from edgefair.probe.formats import NAMES, format_named, format_of
from edgefair.probe.formats.appended import appended, with_appended
from edgefair.probe.runtimes.litert import dequantize, quantize
from tests.targets.onnx_models import classifier

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
    import io
    import zipfile

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
