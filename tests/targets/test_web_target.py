"""Real browsers running onnxruntime-web: a page decides as the file says, and nothing stays of a browser."""

import gc
import os
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgefair.errors import MeasurementError, ModelError, UsageError
from edgefair.files import sha256_file
from edgefair.probe.browser import chromium
from edgefair.probe.browser.page import Page, PageError
from edgefair.probe.bundles.gates import LATENCY
from edgefair.probe.errors import ProbeError
from edgefair.probe.runtimes import onnxruntime_web
from edgefair.probe.runtimes.models import open_model
from edgefair.targets import open_target
from edgefair.targets.sections import LatencyRules
from tests.targets.browsers import (
    bare_decisions,
    browser_of,
    command_of,
    endless,
    ends,
    family,
    kept_folders,
    learnt,
    pages_of,
    ready,
    striped,
)  # fmt: skip
from tests.targets.onnx_models import batches, classifier, saturating, save, value
from tests.targets.people import gate, report, write_project
from tests.targets.scripted import ROOT

pytestmark = pytest.mark.runtimes

WASM = {"runtime": "onnxruntime_web", "providers": ["wasm"], "threads": 1, "optimization": "all", "config": {}}
SOFTWARE = {**WASM, "providers": ["webgpu"], "config": {"adapter": "swiftshader"}}
SHORT = LatencyRules(warmup=5, min_queries=64, min_seconds=0.0, min_effective_queries=0)


@pytest.fixture(scope="module")
def web():
    """A running probe whose browser has loaded nothing yet."""
    profile = ready("web:wasm").model_copy(update={"latency": SHORT})
    with open_target(profile, timeout_s=60) as probe:
        yield probe


@pytest.fixture(scope="module")
def page():
    """Opens models in a browser of this process."""
    ready("web:wasm")
    return lambda path, options=WASM: open_model(path.read_bytes(), options)


def process_of(probe):
    return probe._connection._process.pid


def decided(probe, path, inputs, size=32):
    loaded = probe.load(path, name="m")
    rows = len(next(iter(inputs.values())))
    parts = [{name: array[at : at + size] for name, array in inputs.items()} for at in range(0, rows, size)]
    return np.concatenate([item["decision"] for item in probe.run(loaded, iter(parts), ["decision"])]).tolist()


def own_decisions(path, inputs):
    """What this process's onnxruntime decides."""
    return onnxruntime.InferenceSession(path).run(["decision"], inputs)[0].tolist()


# What a page decides --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["mlp", "resnet-18", "text-transformer"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_table_a_picture_and_a_text_are_decided_as_by_a_bare_script_and_by_onnxruntime(
    web, tmp_path, network, precision
):
    path, inputs = learnt(tmp_path, network, precision)
    expected = own_decisions(path, inputs)
    assert 0 < sum(expected) < len(expected)
    assert decided(web, path, inputs) == expected
    assert bare_decisions(tmp_path, path, inputs) == expected


@pytest.mark.parametrize("network", ["convolutions", pytest.param("resnet-18", marks=pytest.mark.long)])
def test_webgpu_on_a_software_adapter_decides_alike_and_says_what_it_is(tmp_path, network):
    path, inputs = striped(tmp_path) if network == "convolutions" else learnt(tmp_path, network)
    few = {name: array[:12] for name, array in inputs.items()}
    assert 0 < sum(own_decisions(path, few)) < 12
    with open_target(ready("web:webgpu-software"), timeout_s=120) as probe:
        assert decided(probe, path, few) == own_decisions(path, few)
        assert "swiftshader" in probe.device["engine"]["adapter"]


def test_webassembly_adds_int8_products_in_32_bits_where_avx2_would_saturate(web, tmp_path):
    rows = {"x": np.repeat([[255.0], [100.0]], 4, axis=0).repeat(8, axis=1).astype(np.float32)}
    assert decided(web, saturating(tmp_path / "full.onnx"), rows) == [1] * 8


TYPES = [
    ("bool", TensorProto.BOOL), ("int8", TensorProto.INT8), ("uint8", TensorProto.UINT8), ("int16", TensorProto.INT16),
    ("uint16", TensorProto.UINT16), ("int32", TensorProto.INT32), ("uint32", TensorProto.UINT32),
    ("int64", TensorProto.INT64), ("uint64", TensorProto.UINT64), ("float16", TensorProto.FLOAT16),
    ("float32", TensorProto.FLOAT), ("float64", TensorProto.DOUBLE),
]  # fmt: skip


def test_arrays_of_every_type_travel_there_and_back_bit_by_bit_together_and_row_by_row(page, tmp_path):
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name, _ in TYPES]
    path = save(
        tmp_path / "m.onnx",
        nodes,
        [value(name, kind, ["n", 3]) for name, kind in TYPES],
        [value(f"{name}_out", kind, ["n", 3]) for name, kind in TYPES],
    )
    bits = np.random.default_rng(0).integers(0, 256, (5, 24), dtype=np.uint8)  # NaN and extremes among them
    inputs = {name: np.ascontiguousarray(bits[:, : 3 * np.dtype(name).itemsize]).view(name) for name, _ in TYPES}
    inputs["bool"] = inputs["uint8"] % 2 == 0
    model = page(path)
    for alone in (False, True):
        outputs = model.run(inputs, [f"{name}_out" for name, _ in TYPES], one_by_one=alone)
        for name, array in inputs.items():
            found = outputs[f"{name}_out"]
            assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes()), name


def test_texts_reach_a_graph_that_takes_them(page, tmp_path):
    node = helper.make_node("RegexFullMatch", ["x"], ["y"], pattern="j.*")
    shape = ["n", 1]
    path = save(
        tmp_path / "m.onnx", [node], [value("x", TensorProto.STRING, shape)], [value("y", TensorProto.BOOL, shape)]
    )
    rows = np.array([["ja"], ["nein"], ["jö\0"], [""]], dtype=object)
    model = page(path)
    for alone in (False, True):
        assert model.run({"x": rows}, ["y"], one_by_one=alone)["y"].tolist() == [[True], [False], [True], [False]]


def test_a_page_names_its_browser_its_runtime_and_the_bytes_that_it_loaded(web, tmp_path):
    path = classifier(tmp_path / "m.onnx")
    loaded = web.load(path, name="m")
    assert (loaded.sha256, loaded.providers) == (sha256_file(path), ("wasm",))
    assert loaded.inputs[0]["shape"] == [None, 2]
    engine = loaded.engine
    assert engine["browser"].startswith(("Chrome/", "Edg/"))
    assert (engine["onnxruntime_web"], len(engine["wasm_sha256"]), engine["adapter"]) == ("1.30.0", 64, "")
    assert engine["sandboxed"] == (os.geteuid() != 0)
    unsafe = [child for child in family(process_of(web)) if "--no-sandbox" in command_of(child)]
    assert bool(unsafe) == (not engine["sandboxed"])
    assert web.identity["engine.browser"] == engine["browser"]


def test_other_bytes_than_were_sent_are_noticed(page, tmp_path, monkeypatch):
    other = np.frombuffer(classifier(tmp_path / "other.onnx", weights=((2, 1), (1, 2))).read_bytes(), np.uint8)
    ask = Page.ask
    monkeypatch.setattr(
        Page, "ask", lambda self, do, header, _=None: ask(self, do, header, {"model": other} if do == "load" else None)
    )
    with pytest.raises(ProbeError, match="the page loaded other bytes"):
        page(classifier(tmp_path / "m.onnx"))


def test_two_threads_decide_what_one_does(page, tmp_path):
    path, inputs = learnt(tmp_path, "resnet-18")
    one, two = (page(path, {**WASM, "threads": threads}) for threads in (1, 2))
    assert one.run(inputs, ["decision"])["decision"].tolist() == two.run(inputs, ["decision"])["decision"].tolist()


def test_a_page_keeps_no_model_that_nobody_has_any_more(page, tmp_path):
    path, x = classifier(tmp_path / "m.onnx"), batches(1, 1)[0]
    gone, kept = page(path).session, page(path).session
    number, its_page = gone._number, gone._page
    del gone
    gc.collect()
    page(path)
    assert kept.run(["decision"], {"x": x})
    with pytest.raises(PageError):
        its_page.ask("run", {"session": number, "outputs": ["decision"], "texts": [], "alone": False}, {"x": x})


# Its clock ------------------------------------------------------------------------------------------------------------


def test_queries_are_timed_in_the_page_in_turns_and_nothing_else_is_claimed(web, tmp_path):
    for name in ("reference", "candidate"):
        web.load(classifier(tmp_path / "m.onnx"), name=name)
    times = web.latency({"reference": ["decision"], "candidate": ["decision"]}, {"x": batches(16, 16)[0]}, energy=True)
    assert {name: len(item) for name, item in times.items()} == {"reference": 64, "candidate": 64}
    # Of an isolated page, whose clock has steps of 5 us.
    assert all((item > 0).all() and np.isin(item % 5000, [0, 1, 4999]).all() for item in times.values())
    assert not web.device.keys() & {"pinned", "energy"}


def test_a_verdict_of_a_page_has_latency_and_the_browser_in_report_and_record(tmp_path, quiet_device):
    ready("web:wasm")
    project, record = write_project(tmp_path), tmp_path / "raw.npz"
    command = ("verify", project, project / "model.onnx", "--target", "web:wasm", "--record", record)
    code, found = report(*command, "--max-latency-p90", 1000)
    assert (code, gate(found, LATENCY)["outcome"]) == (0, "PASS")
    device = found["targets"][0]["device"]
    assert device["engine"]["browser"].startswith(("Chrome/", "Edg/"))
    loading = found["targets"][0]["evidence"]["footprint"]
    assert loading["load_ms"]
    assert loading["peak_bytes"] is None
    _, again = report("verify", project, "--from-record", record)
    assert again["targets"][0]["device"] == device


# Faults ---------------------------------------------------------------------------------------------------------------


def test_an_operator_that_the_build_for_browsers_lacks_is_named(web, tmp_path):
    node = helper.make_node("Cosh", ["x"], ["decision"], name="wide")
    ports = [value(name, TensorProto.DOUBLE, ["n"]) for name in ("x", "decision")]
    path = save(tmp_path / "m.onnx", [node], ports[:1], ports[1:])
    with pytest.raises(ModelError, match=r"cannot be loaded by onnxruntime-web .*implementation for Cosh.*'wide'"):
        web.load(path, name="m")
    assert decided(web, classifier(tmp_path / "good.onnx"), {"x": batches(3, 3)[0]}), "the page goes on"


def test_inputs_that_the_graph_does_not_take_are_refused_and_the_page_goes_on(web, tmp_path):
    loaded = web.load(classifier(tmp_path / "m.onnx"), name="m")
    with pytest.raises(UsageError, match="refuses its inputs"):
        list(web.run(loaded, iter([{"x": np.zeros((2, 3), dtype=np.float32)}]), ["decision"]))


def test_a_page_that_crashes_is_a_failed_measurement(tmp_path):
    with open_target(ready("web:wasm"), timeout_s=60) as probe:
        loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
        for child in pages_of(process_of(probe)):
            os.kill(child, signal.SIGKILL)
        with pytest.raises(MeasurementError, match="the page crashed"):
            list(probe.run(loaded, iter(batches(10, 5)[1]), ["decision"]))


def test_a_browser_that_is_killed_is_a_failed_measurement(tmp_path):
    with open_target(ready("web:wasm"), timeout_s=60) as probe:
        loaded = probe.load(classifier(tmp_path / "m.onnx"), name="m")
        os.kill(browser_of(process_of(probe)), signal.SIGKILL)
        with pytest.raises(MeasurementError, match="the browser ended"):
            list(probe.run(loaded, iter(batches(10, 5)[1]), ["decision"]))


def test_a_page_that_hangs_is_given_up_and_its_browser_ends(tmp_path):
    before = kept_folders()
    with open_target(ready("web:wasm"), timeout_s=60) as probe:
        loaded = probe.load(endless(tmp_path / "m.onnx"), name="m")
        browser = family(process_of(probe))
        probe._connection.timeout_s = 0.3
        with pytest.raises(MeasurementError, match=r"no answer within 0\.3 s"):
            list(probe.run(loaded, iter([{"x": np.ones((1, 2), dtype=np.float32)}]), ["y"]))
    assert ends(browser)
    assert kept_folders() <= before


def test_a_host_that_is_killed_leaves_no_browser_and_no_folder(tmp_path):
    ready("web:wasm")
    before = kept_folders()
    script = (
        "import sys; from pathlib import Path; from edgefair.targets import load_profile, open_target\n"
        "with open_target(load_profile('web:wasm')) as probe:\n"
        f"    probe.load(Path({str(classifier(tmp_path / 'm.onnx'))!r}), name='m')\n"
        "    print('ready', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as host:
        assert host.stdout.readline() == "ready\n"
        left = family(host.pid)
        assert browser_of(host.pid) in left
        host.kill()
    assert ends(left)
    assert kept_folders() <= before


def test_a_gpu_that_is_not_there_is_said_and_its_software_is_not_taken_for_it(tmp_path):
    model = classifier(tmp_path / "m.onnx")
    with open_target(ready("web:webgpu"), timeout_s=120) as probe:
        try:
            pytest.skip(f"there is a GPU: {probe.load(model, name='m').engine['adapter']}")
        except MeasurementError as error:
            said = str(error)
    assert re.search(r"a software adapter alone \(.*swiftshader|no WebGPU adapter", said)
    assert "on target web:webgpu-software" in said


def test_a_browser_without_any_adapter_says_so(page, tmp_path, monkeypatch):
    monkeypatch.setitem(onnxruntime_web.FLAGS, ("webgpu", False), ["--disable-gpu", "--disable-features=WebGPUService"])
    with pytest.raises(ProbeError, match=r"no WebGPU adapter here\. Measure where there is a GPU") as caught:
        page(classifier(tmp_path / "m.onnx"), {**SOFTWARE, "config": {}})
    assert caught.value.kind == "no_runtime"


# Nothing leaves -------------------------------------------------------------------------------------------------------


PAGE = """<!doctype html><script>
fetch("http://127.0.0.2:{port}/", {{mode: "no-cors"}}).then(() => "reached", () => "refused").then((how) => fetch(how))
</script>"""


class Asking(BaseHTTPRequestHandler):
    """Serves a page that asks another server, and hears from it how that went."""

    def do_GET(self):
        self.server.heard.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.page)
        if self.path in {"/reached", "/refused"}:
            self.server.told.set()

    def log_message(self, *_):
        pass


def test_a_browser_reaches_nothing_but_the_pages_own_server():
    ready("web:wasm")
    elsewhere, own = (ThreadingHTTPServer((host, 0), Asking) for host in ("127.0.0.2", "127.0.0.1"))
    for server in (elsewhere, own):
        server.heard, server.told, server.page = [], threading.Event(), b""
        threading.Thread(target=server.serve_forever, daemon=True).start()
    own.page = PAGE.format(port=elsewhere.server_port).encode()
    browser = chromium.Chromium(chromium.find_browser(), [], gone=lambda _: None)
    browser.open(f"http://127.0.0.1:{own.server_port}/")
    assert own.told.wait(60)
    browser.close()
    assert "/refused" in own.heard
    assert elsewhere.heard == []
