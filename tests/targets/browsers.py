"""Targets in a browser, for tests: ready ones, and the processes behind one."""

import contextlib
import functools
import json
import os
import select
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefair.probe.browser.package import package_folder
from edgefair.targets import load_profile, transport_of
from tests.compress.quantization.brightness import INPUT, OUTPUT, brightness_model, brightness_rows
from tests.probe.small_networks import built, compressed
from tests.targets.onnx_models import save, value

# Ten lines that know nothing of edgefair: the package, the file, one batch.
BARE = """
import * as ort from {module!r};
import {{ readFileSync }} from "node:fs";
const inputs = JSON.parse(readFileSync({inputs!r}, "utf8"));
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync({model!r}));
const feeds = {{}};
for (const [name, type, shape, values] of inputs) feeds[name] = new ort.Tensor(type, values, shape);
const {{ decision }} = await session.run(feeds);
console.log(JSON.stringify(Array.from(decision.data, Number)));
"""


def ready(name):
    """The profile of a target, or a skip that says what is missing here."""
    profile = load_profile(name)
    lacks = transport_of(profile).lacks()
    if lacks is not None:
        pytest.skip(lacks)
    return profile


def bare_decisions(folder, model, inputs):
    """What onnxruntime-web decides in a script of its own, in node."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    listed = [[name, array.dtype.name, array.shape, array.reshape(-1).tolist()] for name, array in inputs.items()]
    (folder / "inputs.json").write_text(json.dumps(listed))
    script = BARE.format(
        module=str(package_folder() / "ort.wasm.min.mjs"), inputs=str(folder / "inputs.json"), model=str(model)
    )
    (folder / "bare.mjs").write_text(script)
    done = subprocess.run(["node", str(folder / "bare.mjs")], capture_output=True, text=True, check=True, cwd=folder)
    return json.loads(done.stdout)


def family(process):
    """Ids of all processes that this one started, and they in turn."""
    found = []
    with contextlib.suppress(OSError):  # it ended meanwhile
        for task in list(Path(f"/proc/{process}/task").iterdir()):
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *family(child)]
    return found


def command_of(process):
    """The command line of a process; empty where it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def pages_of(process):
    """The processes of pages in the browser that this process started."""
    return [child for child in family(process) if " --type=renderer" in command_of(child)]


def browser_of(process):
    """The browser itself, of the same: not the shell that keeps it, and none of its own children."""
    commands = {child: command_of(child) for child in family(process)}
    (found,) = (
        child
        for child, command in commands.items()
        if " --remote-debugging-pipe" in command and " --type=" not in command and not command.startswith("/bin/sh -c")
    )
    return found


def kept_folders():
    """Folders of browsers that are there now."""
    return set(Path(tempfile.gettempdir()).glob("edgefair-browser-*"))


def ends(processes, seconds=30):
    """Whether all these processes end in time."""
    files = [os.pidfd_open(process) for process in processes if Path(f"/proc/{process}").exists()]
    ended = [bool(select.select([file], [], [], seconds)[0]) for file in files]
    for file in files:
        os.close(file)
    return all(ended)


def endless(path):
    """A model that never answers."""
    vector = [value("x", TensorProto.FLOAT, ["n", 2]), value("y", TensorProto.FLOAT, ["n", 2])]
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["v", "v"], ["w"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("v", TensorProto.FLOAT, ["n", 2])],
        [value("on", TensorProto.BOOL, []), value("w", TensorProto.FLOAT, ["n", 2])],
    )
    often = [numpy_helper.from_array(np.array(2**62), "often"), numpy_helper.from_array(np.array(True), "true")]
    return save(
        path, [helper.make_node("Loop", ["often", "true", "x"], ["y"], body=body)], *([item] for item in vector), often
    )


def learnt(folder, network, precision="fp32"):
    """A small network that has learnt to tell one half of its rows from the other: its file, and the rows."""
    model, inputs = _exported(network)
    path = folder / f"{network}-{precision}.onnx"
    onnx.save_model(compressed(model, inputs, precision, "int8-balanced"), path)
    return path, inputs


def striped(folder):
    """A network of two convolutions that tells horizontal from vertical stripes: its file, and pictures."""
    model = brightness_model()
    model.graph.node.append(helper.make_node("ArgMax", [OUTPUT], ["decision"], axis=1, keepdims=0))
    model.graph.output.append(value("decision", TensorProto.INT64, ["rows"]))
    onnx.save_model(model, folder / "stripes.onnx")
    return folder / "stripes.onnx", {INPUT: brightness_rows(12, seed=0)[0]}


@functools.cache
def _exported(network):
    import torch

    from edgefair.exporters.torch_module import export_classifier

    classifier, spec, inputs = built(network)
    tensors = [torch.from_numpy(array) for array in inputs.values()]
    means = tensors[0].reshape(len(tensors[0]), -1).double().mean(1)
    labels = (means > means.median()).long()
    optimizer = torch.optim.Adam(classifier.parameters(), lr=5e-3)
    for _ in range(30):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(classifier(*tensors), labels).backward()
        optimizer.step()
    with tempfile.TemporaryDirectory() as folder:
        model = export_classifier(classifier.eval(), spec, {}, Path(folder) / "m.onnx")
    return model, inputs
