"""Bundles for other runtimes: a model that begins with a Cast from bytes is refused for Qualcomm's NPU as it is, and
fair there as it is exported; what was judged in a browser and here serves here."""

import json
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.graphs.byte_casts import byte_casts
from edgefair.probe.bundles.runtime import load
from edgefair.workflow.targets import probe_target
from tests.compress.quantization.brightness import INPUT, brightness_model
from tests.e2e.commands import run
from tests.e2e.stripes import ROWS, outcomes, write_stripes
from tests.exporters.qnn_simulator import PROVIDER, simulated, simulator
from tests.targets.browsers import ready

pytestmark = [pytest.mark.runtimes, pytest.mark.target]

TARGETS = ("qnn-simulator", "local")


def of_bytes():
    """The model of stripes, which takes bytes and makes floats of them at once."""
    model = brightness_model()
    graph = model.graph
    graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    graph.node[0].input[0] = "scaled"
    graph.initializer.append(numpy_helper.from_array(np.float32(1 / 255), "step"))
    graph.node.insert(0, helper.make_node("Mul", ["float", "step"], ["scaled"], "scale"))
    graph.node.insert(0, helper.make_node("Cast", [INPUT], ["float"], "cast", to=TensorProto.FLOAT))
    assert len(byte_casts(model)) == 1
    return model


@pytest.fixture
def stripes(tmp_path):
    """A project with that model."""
    write_stripes(tmp_path)
    onnx.save_model(of_bytes(), tmp_path / "bytes.onnx")
    return tmp_path


def test_a_model_that_decides_one_class_on_the_npu_is_refused_and_its_export_is_fair_there(stripes):
    simulator()
    config, model, bundle = ["-c", stripes / "edgefair.yaml"], stripes / "bytes.onnx", stripes / "dist"
    there = [part for name in TARGETS for part in ("--target", name)]
    pictures = np.random.default_rng(0).integers(0, 256, (8, 1, 16, 16)).astype(np.uint8)
    (logits,) = simulated(of_bytes(), {INPUT: pictures}, ["logits"])
    assert np.ptp(logits, axis=0).max() < 0.2, "what is refused decides nothing there"

    refused = run("verify", *config, model, *there, "--no-latency")
    assert refused.exit_code == 2
    assert "Cast 'cast' from uint8 to float makes 0 or 1 of every byte" in refused.stderr

    exported = run("export", *config, model, *there, "--no-latency", "-o", bundle)
    assert exported.exit_code == 0, exported.output
    report = json.loads((bundle / "report.json").read_text())
    assert outcomes(report) == dict.fromkeys(TARGETS, "PASS")
    (pair,) = report["disagreements"]
    assert (pair["rows"], pair["differing"]) == (ROWS, 0)
    for name in TARGETS:
        probe_target(name, bundle=bundle)
    assert load(bundle)._loaded.session.get_providers()[0] == PROVIDER
    shown = run("report", bundle / "report.json", "--format", "markdown")
    assert re.search(r"\d+ of \d+ nodes on QNNExecutionProvider", shown.stdout)
    assert f"0 of {ROWS} |" in shown.stdout


def test_a_bundle_that_was_judged_in_a_browser_too_is_loaded_by_what_was_judged_here(stripes):
    web = ready("web:wasm").name
    there, bundle = ["--target", web, "--target", "local"], stripes / "dist"
    model = stripes / "bytes.onnx"
    exported = run("export", "-c", stripes / "edgefair.yaml", model, *there, "--no-latency", "-o", bundle)
    assert exported.exit_code == 0, exported.output
    for name in (web, "local"):
        probe_target(name, bundle=bundle)
    assert load(bundle)._loaded.session.get_providers() == ["CPUExecutionProvider"]
