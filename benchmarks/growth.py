"""How time and memory of `edgefair verify` grow with the audit rows (1e3 to 1e7) and with the groups (2 to 1,000).

Generated rows of a table with four numbers, whole commands without the latency phase. Time is processor time of host
and probe, which a busy machine changes less than the clock on the wall; what the smallest set takes is start-up and is
left out. Time is linear where a row of the largest set takes no longer than one of a set a tenth as large. Memory is
the peak of each process: the probe's should not depend on the rows, and the host's by no more than the columns that it
holds before they go to a file (`edgefair.columns`), and what it works on at a time.

    python benchmarks/growth.py [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet
from machine import finish, print_machine
from onnx import TensorProto, helper, numpy_helper

from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, Column, InputSpec, ModelSpec, Reading

# A row of the largest set may take so many times what one of a set a tenth as large takes.
GOAL = 1.15
# Peaks of the probe and of the host beyond those of the smallest set.
PROBE_MIB, HOST_MIB = 32, 160
FEATURES = ("a", "b", "c", "d")
PART = 1_000_000
# What the command line of a probe holds, once it runs: before, it has the memory of the host.
PROGRAM = b"/proc/self/fd/"
SPEC = ModelSpec(
    inputs=(InputSpec("x", "float32", tuple(map(Column, FEATURES))),),
    reading=Reading("decision", "label", score="score"),
    classes=("no", "yes"),
)


@dataclass(frozen=True)
class Found:
    """One command: processor seconds, its own account of its phases, and peaks in MiB."""

    seconds: float
    wall_s: float
    phases: dict[str, float]
    host_mib: float
    probe_mib: float


def write_project(folder: Path, rows: int, groups: int) -> None:
    """The rows as a parquet file, part by part, the model, and the config; the gate is wide open."""
    names = [f"g{number}" for number in range(groups)]
    writer = None
    for start in range(0, rows, PART):
        count = min(PART, rows - start)
        rng = np.random.default_rng([2, start])
        columns = {name: rng.normal(size=count).astype(np.float32) for name in FEATURES}
        # As many rows of every group and label, whatever their number.
        place = np.arange(start, start + count)
        codes = pyarrow.array((place // 2 % groups).astype(np.int32))
        columns["label"] = np.array(["no", "yes"])[place % 2]
        table = pyarrow.table({**columns, "group": pyarrow.DictionaryArray.from_arrays(codes, names)})
        writer = writer or pyarrow.parquet.ParquetWriter(folder / "rows.parquet", table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    (folder / "edgefair.yaml").write_text(
        "project: growth\n"
        'data: {source: rows.parquet, label: label, positive: "yes", sensitive: [group], '
        f"features: [{', '.join(FEATURES)}], split: {{audit_fraction: 1}}}}\n"
        f"policy: {{max_eo_gap: 1.0, min_balanced_accuracy: 0.0, min_cell_rows: 1, attributes: {{group: "
        f"{{groups: [{', '.join(names)}]}}}}}}\n"
    )
    weights = np.array([[-1, 1], [0.5, -0.5], [0.1, -0.1], [0, 0]], dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["score"], axis=1),
            helper.make_node("ArgMax", ["score"], ["decision"], axis=1, keepdims=0),
        ],
        "growth",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", len(FEATURES)])],
        [
            helper.make_tensor_value_info("decision", TensorProto.INT64, ["n"]),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 2]),
        ],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    model.metadata_props.add(key=SPEC_METADATA_KEY, value=SPEC.to_json())
    onnx.save_model(model, folder / "model.onnx")


def verify(folder: Path, rows: int) -> Found:
    """Run the command and look at its processes."""
    command = [sys.executable, "-m", "edgefair", "verify", "model.onnx", "--uncompressed", "--no-latency", "--json"]
    started = time.perf_counter()
    with (folder / "report.json").open("wb") as out:
        host = subprocess.Popen(command, cwd=folder, stdout=out)
        peaks: dict[int, float] = {}
        ended = threading.Event()
        watching = threading.Thread(target=_watch, args=(host.pid, peaks, ended))
        watching.start()
        _, status, usage = os.wait4(host.pid, 0)
        ended.set()
        watching.join()
    host.returncode = os.waitstatus_to_exitcode(status)
    if host.returncode not in {0, 1, 3}:
        sys.exit(f"verify failed with {host.returncode}")
    judged = json.loads((folder / "report.json").read_text())
    if judged["audit"]["rows"] != rows:
        sys.exit(f"{judged['audit']['rows']} rows were judged instead of {rows}")
    probes = [peak for pid, peak in peaks.items() if pid != host.pid]
    return Found(
        seconds=usage.ru_utime + usage.ru_stime,
        wall_s=time.perf_counter() - started,
        phases=judged["targets"][0]["timings_s"],
        host_mib=peaks.get(host.pid, 0.0),
        probe_mib=max(probes, default=0.0),
    )


def _watch(host: int, peaks: dict[int, float], ended: threading.Event) -> None:
    """Keep the peak of the process and of its children, in MiB, as the kernel tells it."""
    while not ended.wait(0.02):
        with contextlib.suppress(OSError, ValueError):
            children = [
                int(pid)
                for task in Path(f"/proc/{host}/task").iterdir()
                for pid in (task / "children").read_text().split()
            ]
            probes = [pid for pid in children if PROGRAM in Path(f"/proc/{pid}/cmdline").read_bytes()]
            for pid in (host, *probes):
                status = Path(f"/proc/{pid}/status").read_text()
                line = next((line for line in status.splitlines() if line.startswith("VmHWM")), None)
                if line is not None:
                    peaks[pid] = max(peaks.get(pid, 0.0), int(line.split()[1]) / 1024)


def shown(name: str, found: Found) -> str:
    """One line of the table."""
    phases = ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in found.phases.items() if seconds >= 0.005)
    return (
        f"  {name:>18}: {found.seconds:7.2f} s of processor ({found.wall_s:.1f} s), host {found.host_mib:,.0f} MiB, "
        f"probe {found.probe_mib:,.0f} MiB; {phases}"
    )


def measured(rows: int, groups: int) -> Found:
    """A project of its own, judged and removed."""
    with tempfile.TemporaryDirectory() as name:
        write_project(Path(name), rows, groups)
        return verify(Path(name), rows)


def main() -> None:
    """Print both tables and the ratio of the time per row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to 1,000,000 rows")
    largest = 6 if parser.parse_args().quick else 7
    print_machine("onnxruntime", "numpy", "pyarrow")
    found = {}
    for power in range(3, largest + 1):
        found[10**power] = measured(10**power, 2)
        print(shown(f"{10**power:,} rows", found[10**power]), flush=True)
    for groups in (2, 10, 100, 1000):
        print(shown(f"{groups:,} groups", measured(100_000, groups)), flush=True)
    start, tenth, whole = found[1000], found[10 ** (largest - 1)], found[10**largest]
    ratio = (whole.seconds - start.seconds) / (10 * (tenth.seconds - start.seconds))
    host, probe = whole.host_mib - start.host_mib, whole.probe_mib - start.probe_mib
    if host > HOST_MIB:
        finish("growth_host_mib", host, HOST_MIB, at_most=True)
    print(f"growth_host_mib: {host:.0f} (goal <= {HOST_MIB})")
    if probe > PROBE_MIB:
        finish("growth_probe_mib", probe, PROBE_MIB, at_most=True)
    print(f"growth_probe_mib: {probe:.1f} (goal <= {PROBE_MIB})")
    finish("growth_time_per_row", ratio, GOAL, at_most=True)


if __name__ == "__main__":
    main()
