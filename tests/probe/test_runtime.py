"""What a device loads a bundle with: only what was judged, only on devices like those it was judged on."""

import contextlib
import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest

from edgefair.probe.bundles.runtime import BundleError, _input, load
from edgefair.probe.device import fingerprint
from edgefair.probe.inputs.pictures import fit
from edgefair.probe.inputs.prepare import prepare
from edgefair.probe.onnx_files.spec import Column, InputSpec, PictureSpec
from edgefair.resources import shipped_path
from edgefair.targets import load_profile, transport_of
from edgefair.targets.transports.zipapp import build_runtime
from tests.bundle.small_bundle import RAW, judged, write_bundle, write_manifest


def test_raw_features_become_decisions_by_name(tmp_path):
    model = load(write_bundle(tmp_path / "b"))
    found = model.predict(RAW)
    assert found.decision == ["no", "yes"]
    assert found.score.shape == (2, 2)
    assert model.report["outcome"] == "PASS"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"a": [1.0]}, "feature 'b' is missing"),
        ({}, "feature 'a' is missing"),
        ([1.0, 2.0], "features are a list, not a mapping"),
        ({"a": [1.0], "b": [float("nan")]}, "'b' holds NaN"),
        ({"a": [1.0], "b": [1e308]}, "'b' holds NaN or an infinite number"),
        ({"a": ["x"], "b": [1.0]}, "'a' holds a str, not only numbers"),
        ({"a": ["1.5"], "b": [1.0]}, "'a' holds a str, not only numbers"),
        ({"a": [None], "b": [1.0]}, "'a' holds NaN"),
        ({"a": [10**400], "b": [1.0]}, "'a' holds numbers beyond every type"),
        ({"a": [[1.0]], "b": [1.0]}, r"'a' has shape \[1, 1\]"),
        ({"a": [[1.0], [1.0, 2.0]], "b": [1.0, 2.0]}, "'a' is not an array of numbers"),
        ({"a": 1.0, "b": 0.0}, "'a' is one float, not a list"),
        ({"a": np.float32(1.0), "b": [0.0]}, "'a' is one float32, not a list"),
        ({"a": "11", "b": [0.0, 0.0]}, "'a' is one str, not a list"),
        ({"a": {"x": 1.0}, "b": [0.0]}, "'a' is one dict, not a list"),
        ({"a": [1.0, 2.0, 3.0], "b": [0.0]}, "'b' has 1 rows, and 'a' has 3"),
        ({"a": [1.0], "b": [0.0, 0.0]}, "'b' has 2 rows, and 'a' has 1"),
        ({"a": [], "b": []}, "have no row"),
        ({"a": [1.0], "b": [0.0], "B": [0.0]}, "'B' is not one that the model takes: a, b"),
    ],
)
def test_raw_features_that_the_model_does_not_take_are_a_value_error(tmp_path, raw, message):
    with pytest.raises(ValueError, match=message):
        load(write_bundle(tmp_path / "b")).predict(raw)


def refused(bundle, message):
    with pytest.raises(BundleError, match=message):
        load(bundle)


def test_a_changed_missing_or_unlisted_file_is_refused(tmp_path):
    bundle = write_bundle(tmp_path / "b")
    for name in ("model.onnx", "report.json"):
        content = (bundle / name).read_bytes()
        (bundle / name).write_bytes(content + b" ")
        refused(bundle, f"'{name}' was modified")
        (bundle / name).unlink()
        refused(bundle, f"lacks '{name}'")
        (bundle / name).write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_text())
    for broken in ("", "[]", json.dumps({**manifest, "schema": "other"}), json.dumps({**manifest, "files": {}})):
        (bundle / "manifest.json").write_text(broken)
        refused(bundle, "is not a bundle")
    refused(tmp_path / "absent", "is not a bundle")


def test_the_reference_may_be_left_behind_and_is_checked_where_it_is_there(tmp_path):
    bundle = write_bundle(tmp_path / "b")
    (bundle / "reference" / "model.onnx").write_bytes(b"dense")
    write_manifest(bundle)
    (bundle / "reference" / "model.onnx").write_bytes(b"other")
    refused(bundle, r"'reference/model\.onnx' was modified")
    shutil.rmtree(bundle / "reference")
    load(bundle)


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ({"outcome": "FAIL", "exit_code": 1}, "its verdict is FAIL"),
        ({"exit_code": 1}, "not a verdict that may ship"),
        ({"model": {"sha256": "0" * 64}}, "belongs to another model file"),
        ({"targets": []}, "not judged on any target"),
        ({"targets": 7}, "is not a report"),
        ({"model": {}}, "is not a report"),
    ],
)
def test_a_verdict_that_does_not_ship_or_belongs_to_another_file_is_refused(tmp_path, report, message):
    refused(write_bundle(tmp_path / "b", **report), message)


@pytest.mark.parametrize(
    "device",
    [
        {"machine": "sparc64", "flags": []},
        {"machine": "x86_64", "flags": ["avx2"]} if "avx512_vnni" in fingerprint()["flags"] else {"machine": "aarch64"},
    ],
)
def test_a_model_that_was_judged_on_other_devices_is_refused(tmp_path, device):
    refused(write_bundle(tmp_path / "b", devices=[judged(device)]), "its decisions may differ here")


def test_pictures_of_any_size_and_texts_become_what_the_audit_fed():
    picture = InputSpec("p", "float32", picture=PictureSpec("photo", 4, 6, mean=(0.5,) * 3, std=(0.5,) * 3))
    photos = [np.full((9, 7, 3), 200, dtype=np.uint8), np.zeros((4, 6, 3), dtype=np.uint8)]
    ready = prepare({"p": _input({"photo": photos}, picture)}, [picture])["p"]
    assert ready.shape == (2, 4, 6, 3)
    assert np.allclose(ready[0], (fit(photos[0], picture.picture) / 255 - 0.5) / 0.5)
    text = InputSpec("t", "str", (Column("job", ("cook", "pilot")),))
    ready = prepare({"t": _input({"job": ["pilot", "king"]}, text)}, [text])["t"]
    assert ready.tolist() == [["pilot"], [""]]


# The one file, and the example that serves a bundle -----------------------------------------------------------------


@pytest.fixture
def device(tmp_path):
    """A folder with what a device gets: the loader, the example, and room for a bundle."""
    (tmp_path / "edgefair_runtime.zip").write_bytes(build_runtime())
    shutil.copy(shipped_path("deploy/device", "serve.py"), tmp_path)
    return tmp_path


@contextlib.contextmanager
def serving(device, *, python=(sys.executable, "-I"), environment=None):
    """Address of the example, serving the bundle `model`."""
    command = [*python, str(device / "serve.py"), str(device / "model"), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as served:
        try:
            line = served.stdout.readline()
            yield f"http://{line.split()[-1]}" if line else served.stderr.read()
        finally:
            served.kill()


def ask(address, content):
    with urllib.request.urlopen(urllib.request.Request(address, data=content), timeout=60) as answer:
        return json.loads(answer.read())


def test_the_example_answers_with_decisions_and_refuses_what_is_no_request(device):
    write_bundle(device / "model")
    with serving(device) as address:
        assert ask(address, json.dumps(RAW).encode())["decision"] == ["no", "yes"]
        for content in (b"[]", b"{", b'{"a": [1]}', b'{"a": [1], "b": null}'):
            with pytest.raises(urllib.error.HTTPError) as error:
                ask(address, content)
            assert error.value.code == 400
        assert ask(address, json.dumps(RAW).encode())["classes"] == ["no", "yes"]


def test_the_example_does_not_serve_a_bundle_that_was_changed(device):
    bundle = write_bundle(device / "model")
    (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes() + b"\0")
    with serving(device) as said:
        assert said.startswith("error: 'model.onnx' was modified")


@pytest.mark.target
def test_the_example_serves_on_a_board_what_was_judged_on_such_a_board_and_nothing_else(device):
    transport = transport_of(load_profile("qemu:cortex-a76"))
    lacks = transport.lacks()
    if lacks is not None:
        pytest.skip(lacks)
    python, environment = transport.python()
    write_bundle(device / "model", devices=[judged({"machine": "aarch64", "flags": ["asimd"]})])
    with serving(device, python=python, environment=environment) as address:
        assert ask(address, json.dumps(RAW).encode())["decision"] == ["no", "yes"]
    write_bundle(device / "model", devices=[judged({"machine": "x86_64", "flags": ["avx2"]})])
    with serving(device, python=python, environment=environment) as said:
        assert "this device is aarch64, and the model was judged on x86_64 without VNNI" in said
