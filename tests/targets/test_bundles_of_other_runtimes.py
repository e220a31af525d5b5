"""A .tflite file ships like any other: judged, signed, loaded by the runtime that judged it, or refused."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from edgefair.bundle.manifest import open_bundle
from edgefair.cli import main
from edgefair.files import sha256_file
from edgefair.probe.bundles.attestation import MANIFEST
from edgefair.probe.bundles.files import BundleError, model_among
from edgefair.probe.bundles.runtime import load
from edgefair.probe.formats.appended import appended
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY
from edgefair.probe.runtimes.litert import LiteRt
from tests.bundle.small_bundle import private_key, public_pem, write_key, write_manifest
from tests.targets.bare import litert_output
from tests.targets.people import report, run, write_project
from tests.targets.tflite_models import linear

pytestmark = pytest.mark.runtimes


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a float .tflite without a spec, and the bundle of it, signed."""
    pytest.importorskip("ai_edge_litert")
    folder = write_project(tmp_path_factory.mktemp("tflite"))
    linear(folder / "m.tflite")
    write_key(folder / "key.pem")
    code, found = report(
        "export", folder, folder / "m.tflite", "--target", "litert", "--no-latency", "-o", folder / "dist",
        "--sign", folder / "key.pem", "--set", "model.output.name=score", "--set", "model.output.kind=probabilities",
    )  # fmt: skip
    assert (code, found["outcome"]) == (0, "PASS")
    return folder


def raw(rows=50):
    values = np.random.default_rng(1).normal(size=(rows, 2)).astype(np.float32)
    return values, {"a": values[:, 0].tolist(), "b": values[:, 1].tolist()}


def test_a_bundle_of_a_tflite_file_serves_the_decisions_of_the_bare_runtime(project):
    values, rows = raw()
    model = load(project / "dist", public_key=public_pem(private_key()))
    decided = np.array(model.predict(rows).decision)
    bare = litert_output((project / "m.tflite").read_bytes(), values).argmax(axis=1)
    assert np.array_equal(decided, np.array(["no", "yes"])[bare])
    bundle = open_bundle(project / "dist")
    assert bundle.model.name == "model.tflite"
    assert bundle.uncompressed
    assert "canaries.npz" in bundle.manifest.files
    assert appended(bundle.model.read_bytes())[SPEC_METADATA_KEY].encode() == bundle.spec.read_bytes()


def test_such_a_bundle_is_verified_again(project):
    code, found = report("verify", project, project / "dist", "--target", "litert", "--no-latency")
    assert code == 0
    assert found["model"]["sha256"] == sha256_file(project / "dist/model.tflite")


def test_a_bundle_that_was_judged_on_openvino_is_served_by_it_and_refused_with_other_kernels(tmp_path):
    pytest.importorskip("openvino")
    write_project(tmp_path)
    code, _ = report(
        "export", tmp_path, tmp_path / "model.onnx", "--target", "openvino", "--no-latency", "-o", tmp_path / "d"
    )
    assert code == 0
    _, rows = raw()
    model = load(tmp_path / "d")
    assert model.predict(rows).decision == [
        "yes" if a + 0.5 * b < 0 else "no" for a, b in zip(rows["a"], rows["b"], strict=True)
    ]
    judged = json.loads((tmp_path / "d/report.json").read_text())
    judged["targets"][0]["device"]["engine"]["kernels"] = "0" * 64
    (tmp_path / "d/report.json").write_text(json.dumps(judged))
    write_manifest(tmp_path / "d")
    with pytest.raises(BundleError, match=r"kernels is .* here, and the model was judged with 0000"):
        load(tmp_path / "d")


def test_another_version_of_the_runtime_or_none_is_refused(project, monkeypatch):
    for facts, why in (({"litert": "1.0"}, r"litert .*, and 1\.0 is installed here"), ({}, "not installed here")):
        monkeypatch.setattr(LiteRt, "facts", lambda _, facts=facts: facts)
        with pytest.raises(BundleError, match=why):
            load(project / "dist")


def test_a_damaged_model_and_one_under_another_formats_name_are_refused(project, tmp_path):
    listed = json.loads((project / "dist" / MANIFEST).read_text())
    for name, change, why in (
        ("model.tflite", lambda content: content[:-1] + b"?", "was modified"),
        ("model.pte", lambda content: content, "is in the format of TFLite"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        for item in ("report.json", "spec.json"):
            (folder / item).write_bytes((project / "dist" / item).read_bytes())
        (folder / name).write_bytes(change((project / "dist/model.tflite").read_bytes()))
        files = {item: listed["files"][item] for item in ("report.json", "spec.json")}
        files[name] = listed["files"]["model.tflite"]
        (folder / MANIFEST).write_text(json.dumps({**listed, "files": files}))
        with pytest.raises(BundleError, match=why):
            load(folder)


def test_what_was_made_for_a_runtime_is_not_compressed(project):
    done = run("export", project, project / "m.tflite", "--int8", "--target", "litert")
    assert done.exit_code == 2
    assert "was made for a runtime" in done.stderr


def test_a_spec_is_put_behind_somebodys_file_once(project):
    asked = ("--set", "model.output.name=score", "--set", "model.output.kind=probabilities")
    for source, to, given in (("m", "d", asked), ("d", "e", ())):
        config = ("-c", str(project / "edgefair.yaml"))
        files = (str(project / f"{source}.tflite"), "-o", str(project / f"{to}.tflite"))
        done = CliRunner().invoke(main, ["target", "describe", *config, *files, *given])
        assert done.exit_code == 0, done.stderr
    assert (project / "d.tflite").read_bytes() == (project / "e.tflite").read_bytes()
    assert (project / "d.tflite").read_bytes().startswith((project / "m.tflite").read_bytes())
    assert report("verify", project, project / "d.tflite", "--target", "litert", "--no-latency")[0] == 0


@pytest.mark.parametrize("names", [("report.json",), ("model.onnx", "model.tflite")])
def test_a_bundle_lists_one_model(names):
    with pytest.raises(ValueError, match=r"does not list model\.onnx|lists model\.onnx and model\.tflite"):
        model_among(names)
