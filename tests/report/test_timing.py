"""What a reader sees of how a model was timed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from edgefair.measure.latency import LatencySummary, SpeedUp
from edgefair.report.terminal.timing import device_line, latency_lines

LATENCY = LatencySummary(1024, 1.0, 2.0, 3.0, 1.9, 2.1, 0.0)
METER = {"source": "INA3221 VDD_IN", "covers": "the whole module, idle included"}


def shown(device, reference=LATENCY):
    speed = None if reference is None else SpeedUp(2.0, 1.9, 2.1)
    target = SimpleNamespace(latency=LATENCY, reference_latency=reference, speed_up=speed, device=device, evidence={})
    return "\n".join(latency_lines(target))


def test_how_many_independent_queries_they_are_worth_stands_beside_their_number_where_it_is_known():
    target = SimpleNamespace(
        latency=replace(LATENCY, effective_queries=321), reference_latency=None, device={}, evidence={}
    )
    assert "1,024 queries (as many as 321 independent), batch 1, not pinned" in latency_lines(target)[0]


def test_the_cores_are_named_or_it_is_said_that_there_were_none():
    assert "1,024 queries, batch 1, pinned to cpu 2, 3\n" in shown({"pinned": [2, 3]})
    assert "batch 1, not pinned\n" in shown({})


def test_energy_is_shown_with_its_meter_and_not_mentioned_without_one():
    both = shown({"energy": METER | {"mj_per_query": {"candidate": 1.234, "reference": 5.6}}})
    assert "energy  1.23 mJ a query, the reference 5.6 mJ\n" in both
    assert both.endswith("of the whole module, idle included (INA3221 VDD_IN)")
    alone = shown({"energy": METER | {"mj_per_query": {"candidate": 120.0}}}, reference=None)
    assert "energy  120 mJ a query\n" in alone
    assert "mJ" not in shown({})


def test_without_a_clock_nothing_is_said_of_time():
    assert latency_lines(SimpleNamespace(latency=None, evidence={})) == ["latency not measured"]


@pytest.mark.parametrize(
    ("device", "line"),
    [
        ({"cpu": "Cortex-A76", "onnxruntime": "1.32.0"}, "Cortex-A76, onnxruntime 1.32.0"),
        ({"machine": "aarch64", "runs_on": "tensorrt", "tensorrt": "10.3.0"}, "aarch64, tensorrt 10.3.0"),
        ({"machine": "aarch64", "runs_on": "tensorrt"}, "aarch64, tensorrt ?"),
        (
            {"cpu": "x", "onnxruntime": "1", "session": {"providers": ["CPUExecutionProvider"], "optimization": "all"}},
            "x, onnxruntime 1",
        ),
        (
            {
                "cpu": "x",
                "onnxruntime": "1",
                "session": {"providers": ["A", "B"], "optimization": "disable", "config": {"k": "v"}, "threads": 4},
            },
            "x, onnxruntime 1, A then B, optimization disable, k=v, 4 threads",
        ),
        (
            {
                "cpu": "x",
                "onnxruntime": "1",
                "session": {
                    "providers": ["A", "CPUExecutionProvider"],
                    "provider_settings": {
                        "A": {
                            "options": {"load_config": '{"CPU": {"PRECISION": "f32"}, "N": 1}', "arch": "73", "b": "{"}
                        }
                    },
                },
                "engine": {
                    "providers": {"A": {"package": "a-plugin 2.0"}},
                    "nodes": {"A": 62, "CPUExecutionProvider": 2},
                },
            },
            "x, onnxruntime 1, CPU PRECISION=f32, N=1, arch=73, b={, 62 of 64 nodes on A (a-plugin 2.0)",
        ),
        (
            {
                "cpu": "x",
                "runs_on": "onnxruntime_web",
                "onnxruntime_web": "1.30.0",
                "session": {"providers": ["webgpu"], "config": {"adapter": "swiftshader"}},
                "engine": {"browser": "Chrome/147.0", "wasm_sha256": "0", "adapter": "google, swiftshader"},
            },
            "x, onnxruntime_web 1.30.0, webgpu, Chrome/147.0, google, swiftshader",
        ),
        (
            {
                "cpu": "x",
                "runs_on": "openvino",
                "openvino": "2026.4.1",
                "session": {"providers": [], "config": {"device": "CPU"}},
                "engine": {"device": "CPU", "precision": "f32", "kernels": "0"},
            },
            "x, openvino 2026.4.1, CPU, f32",
        ),
    ],
)
def test_a_device_is_named_with_what_ran_the_model(device, line):
    assert device_line(device) == line


def test_what_loading_takes_is_shown_where_it_was_measured_and_memory_where_it_is_told():
    taken = {"load_ms": [3.0, 2.0, 4.0], "load_bytes": 1, "peak_bytes": 12_345_678}
    target = SimpleNamespace(latency=LATENCY, reference_latency=None, device={}, evidence={"footprint": taken})
    assert latency_lines(target)[-1] == "loading 3 ms (median of 3 loads); memory 12.3 MB at its peak"
    taken["peak_bytes"] = None
    assert latency_lines(target)[-1] == "loading 3 ms (median of 3 loads)"
