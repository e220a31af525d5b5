"""What a pool of two devices gains over one, and what is lost with one that is killed: local probes, a core each.

A network of three large layers, so that the processor is what is waited for. One probe and a pool of two decide the
same rows in turns, asked as `edgefair verify` asks them (checks and the second asking included); every probe is pinned
to a core of its own, and the host runs where there is room. Then one of the two is killed in the middle, and the
decisions are compared with those of one device, row by row.

    python benchmarks/pool.py [--quick]
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet
from machine import finish, print_machine
from onnx import TensorProto, helper, numpy_helper

import edgefair
from edgefair.data.dataset import load
from edgefair.data.rows import TableRows
from edgefair.probe.onnx_files.spec import SPEC_METADATA_KEY, Column, InputSpec, ModelSpec, Reading
from edgefair.progress import Progress, silent
from edgefair.targets import AnyProbe, LoadedModel, Probe, load_profile, open_target
from edgefair.targets.pools.pool import Pool
from edgefair.workflow.measurement.decide_rows import Decided, decide_rows

GOAL = 1.7
FEATURES, WIDTH = 16, 1536
CONFIG = f"""\
project: pool
data:
  source: rows.parquet
  label: label
  positive: "yes"
  sensitive: [group]
  features: [{", ".join(f"x{number}" for number in range(FEATURES))}]
  split: {{audit_fraction: 1}}
policy: {{attributes: {{group: {{groups: [a, b]}}}}}}
"""
SPEC = ModelSpec(
    inputs=(InputSpec("x", "float32", tuple(Column(f"x{number}") for number in range(FEATURES))),),
    reading=Reading("decision", "label", score="score"),
    classes=("no", "yes"),
)


def write_network(path: Path) -> None:
    """score = softmax(W4 relu(W3 relu(W2 relu(W1 x)))), decision = argmax."""
    rng, sizes = np.random.default_rng(0), [FEATURES, WIDTH, WIDTH, WIDTH, 2]
    nodes, weights, name = [], [], "x"
    for number, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        weight = rng.normal(size=(rows, columns)) / np.sqrt(rows / 2)
        weights.append(numpy_helper.from_array(weight.astype(np.float32), f"w{number}"))
        nodes.append(helper.make_node("MatMul", [name, f"w{number}"], [f"p{number}"]))
        nodes.append(helper.make_node("Relu", [f"p{number}"], [f"h{number}"]))
        name = f"h{number}"
    nodes[-1] = helper.make_node("Softmax", [f"p{len(sizes) - 2}"], ["score"], axis=1)
    nodes.append(helper.make_node("ArgMax", ["score"], ["decision"], axis=1, keepdims=0))
    graph = helper.make_graph(
        nodes,
        "pool",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])],
        [
            helper.make_tensor_value_info("decision", TensorProto.INT64, ["n"]),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 2]),
        ],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    model.metadata_props.add(key=SPEC_METADATA_KEY, value=SPEC.to_json())
    onnx.save_model(model, path)


def prepare(folder: Path, rows: int) -> TableRows:
    """Generated rows, and the network."""
    rng = np.random.default_rng(1)
    columns = {f"x{number}": rng.normal(size=rows).astype(np.float32) for number in range(FEATURES)}
    columns |= {"group": rng.choice(["a", "b"], rows), "label": rng.choice(["no", "yes"], rows)}
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "rows.parquet")
    (folder / "edgefair.yaml").write_text(CONFIG)
    for name in ("one", "two"):
        (folder / f"{name}.yaml").write_text(f"name: {name}\ntransport: local\n")
    write_network(folder / "model.onnx")
    config = edgefair.load_config(folder / "edgefair.yaml")
    return load(config.data, base=folder, roles=["audit"]).audit


def pin(probe: AnyProbe) -> list[int]:
    """Give every device a core of its own, as far as there are cores; the processes of the probes."""
    probes = list(probe._probes.values()) if isinstance(probe, Pool) else [probe]
    found = [each._connection._process.pid for each in probes if isinstance(each, Probe)]
    cores = sorted(os.sched_getaffinity(0))
    for number, pid in enumerate(found):
        os.sched_setaffinity(pid, {cores[number % len(cores)]})
    return found


def timed(probe: AnyProbe, model: LoadedModel, rows: TableRows, progress: Progress = silent) -> tuple[float, Decided]:
    """Seconds, and what was decided."""
    started = time.perf_counter()
    decided = decide_rows(probe, model, rows, SPEC, progress)
    return time.perf_counter() - started, decided


def main() -> None:
    """Run both in turns, print their ratio, kill one, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds")
    quick = parser.parse_args().quick
    print_machine("onnxruntime", "numpy")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two devices of one core gain nothing: give it two cores")
    with tempfile.TemporaryDirectory() as name:
        folder, rounds = Path(name), 3 if quick else 7
        rows = prepare(folder, 12_000 if quick else 60_000)
        profiles = [load_profile(str(folder / "one.yaml")), load_profile(f"pool:{folder}/one.yaml,{folder}/two.yaml")]
        with open_target(profiles[0]) as one, open_target(profiles[1]) as pool:
            pin(one)
            processes = pin(pool)
            models = [probe.load(folder / "model.onnx", name="candidate") for probe in (one, pool)]
            seconds: list[tuple[float, float]] = []
            load_before = os.getloadavg()[0]
            for _ in range(rounds):
                alone, expected = timed(one, models[0], rows)
                shared, decided = timed(pool, models[1], rows)
                if not np.array_equal(expected.decisions, decided.decisions):
                    sys.exit("the pool decided otherwise than one device")
                seconds.append((alone, shared))
                print(f"  one {alone:.2f} s, pool {shared:.2f} s, rows {dict(sorted(decided.rows_by.items()))}")

            def killing(done: int, total: int, what: str) -> None:
                if what.startswith("deciding") and total and 3 * done >= total and len(processes) == 2:
                    os.kill(processes.pop(), signal.SIGKILL)

            lost, after = timed(pool, models[1], rows, Progress(killing))
            same = np.array_equal(expected.decisions, after.decisions)
            print(f"one of two killed after a third of {len(rows):,} rows: {lost:.2f} s, rows {dict(after.rows_by)},")
            print(f"  decisions {'equal, row by row' if same else 'DIFFERENT'}")
            if not same or sum(after.rows_by.values()) != len(rows):
                sys.exit("something was lost with the device")
    ratio = statistics.median(alone / shared for alone, shared in seconds)
    print(f"load of the machine before: {load_before:.1f}; a busy one gives two devices no two cores")
    finish("pool_of_two", ratio, GOAL, at_most=False)


if __name__ == "__main__":
    main()
