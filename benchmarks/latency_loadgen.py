"""Does the latency harness agree with MLPerf's own load generator? Single stream, same session, same rows, one thread.

Rounds of both alternate in one process, each side first in every other one; each round's 90th percentiles are compared.
Where LoadGen is not installed (`pip install mlcommons-loadgen`) there is nothing to compare with, and the benchmark
says so.

    python benchmarks/latency_loadgen.py [--quick]
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
from pathlib import Path

import numpy as np
import onnx
from machine import finish, print_machine
from onnx import TensorProto, helper, numpy_helper

from edgefair.probe.clock import latency
from edgefair.probe.runtimes.models import Loaded, load

try:
    import mlperf_loadgen
except ImportError:
    mlperf_loadgen = None

GOAL = 1.1
SIZE, CHANNELS, LAYERS = 32, 48, 6
POOL = 32
P90 = re.compile(r"90\.00 percentile latency \(ns\)\s*:\s*(\d+)")


def network(path: Path) -> None:
    """A few convolutions: milliseconds per query, so that what Python adds around it is small."""
    rng = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for layer in range(LAYERS):
        shape = (CHANNELS, 3 if layer == 0 else CHANNELS, 3, 3)
        weights.append(numpy_helper.from_array(rng.normal(scale=0.05, size=shape).astype(np.float32), f"w{layer}"))
        nodes.append(helper.make_node("Conv", [last, f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        last = f"r{layer}"
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["y"]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", CHANNELS, 1, 1])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def ours_ms(model: Loaded, pool: np.ndarray, queries: int) -> float:
    """p90 of the harness."""
    rules = {"warmup": 10, "min_queries": queries, "min_seconds": 0.0, "max_seconds": 600.0}
    times = latency.measure({"m": model}, {"x": pool}, {"m": ["y"]}, **rules)["m"]
    return float(np.quantile(times, 0.9)) / 1e6


def loadgen_ms(model: Loaded, pool: np.ndarray, queries: int, folder: Path) -> float:
    """p90 of LoadGen's single stream."""
    rows = [{"x": pool[index : index + 1]} for index in range(POOL)]

    def issue(samples: list) -> None:
        for sample in samples:
            model.session.run(["y"], rows[sample.index])
            mlperf_loadgen.QuerySamplesComplete([mlperf_loadgen.QuerySampleResponse(sample.id, 0, 0)])

    settings = mlperf_loadgen.TestSettings()
    settings.scenario = mlperf_loadgen.TestScenario.SingleStream
    settings.mode = mlperf_loadgen.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = queries
    settings.min_duration_ms = 0
    logs = mlperf_loadgen.LogSettings()
    logs.log_output.outdir = str(folder)
    logs.enable_trace = False
    system = mlperf_loadgen.ConstructSUT(issue, lambda: None)
    samples = mlperf_loadgen.ConstructQSL(POOL, POOL, lambda _: None, lambda _: None)
    mlperf_loadgen.StartTestWithLogSettings(system, samples, settings, logs)
    mlperf_loadgen.DestroyQSL(samples)
    mlperf_loadgen.DestroySUT(system)
    found = P90.search((folder / "mlperf_log_summary.txt").read_text())
    if found is None:
        raise RuntimeError("LoadGen's summary holds no 90th percentile")
    return int(found[1]) / 1e6


def main() -> None:
    """Run, print both sides and by what factor they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds, queries = (12, 300) if parser.parse_args().quick else (20, 1024)
    if mlperf_loadgen is None:
        print("skipped: LoadGen is not installed (pip install mlcommons-loadgen)")
        return
    print_machine("onnxruntime", "mlcommons-loadgen")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network(folder / "m.onnx")
        options = {"threads": 1, "providers": ["CPUExecutionProvider"], "optimization": "all", "config": {}}
        model = load(str(folder / "m.onnx"), options)
        pool = np.random.default_rng(0).normal(size=(POOL, 3, SIZE, SIZE)).astype(np.float32)
        pairs = []
        for index in range(rounds + 1):
            first_ours = ours_ms(model, pool, queries) if index % 2 else None
            loadgen = loadgen_ms(model, pool, queries, folder)
            pairs.append((first_ours or ours_ms(model, pool, queries), loadgen))
    ours, theirs = (statistics.median(side) for side in zip(*pairs[1:], strict=True))
    ratio = statistics.median(a / b for a, b in pairs[1:])
    print(f"p90 of {queries} queries, batch 1, one thread, median of {rounds} alternating rounds:")
    print(f"  LoadGen, single stream  {theirs:.3f} ms")
    print(f"  edgefair's probe        {ours:.3f} ms   ratio {ratio:.3f}")
    finish("latency_loadgen", max(ratio, 1 / ratio), GOAL, at_most=True)


if __name__ == "__main__":
    main()
