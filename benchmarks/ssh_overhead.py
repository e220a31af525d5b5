"""What a target behind ssh costs beside this machine's own, on the 99,762 audit rows of Census-Income.

Both sides run the same probe on the same model, rows and batches, interleaved in one run; one of them behind a real
OpenSSH server on loopback, with keys and a home of its own. Starting the two is left out and printed beside it, as is
the largest memory of the probe behind ssh, which must not grow with the rows.

    python benchmarks/ssh_overhead.py [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from machine import finish, print_machine
from verify_overhead import prepare, with_edgefair

from edgefair.data.dataset import load
from edgefair.targets import load_profile, open_target
from edgefair.training.run import load_run

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.targets.openssh import Server, lacking

GOAL = 1.3
MEMORY_GOAL_MIB = 300


def peak_mib(process: int) -> float:
    """Largest resident memory that a process has had, MiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Run, print both sides and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 7 if parser.parse_args().quick else 25
    lacks = lacking()
    if lacks is not None:
        print(f"skipped: {lacks}")
        return
    print_machine("onnxruntime", "numpy")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = prepare(folder)
        rows = load(config.data, base=folder, roles=["audit"]).audit
        spec = load_run(config.run_path("plain")).spec
        path = config.bundle_path / "model.onnx"
        (folder / "device").mkdir()
        server = Server(folder / "device")
        server.start()
        seconds: dict[str, list[float]] = {"ssh": [], "local": []}
        try:
            started = time.perf_counter()
            with open_target(load_profile("local")) as local:
                between = time.perf_counter()
                with open_target(server.profile()) as remote:
                    ready = time.perf_counter()
                    probes = {"local": local, "ssh": remote}
                    models = {side: probe.load(path, name="candidate") for side, probe in probes.items()}
                    for _ in range(rounds + 1):
                        for side, probe in probes.items():
                            seconds[side].append(with_edgefair(probe, models[side], rows, spec, config.policy))
                    (process,) = server.probes()
                    memory = peak_mib(process)
        finally:
            server.stop()
    ratio = statistics.median(a / b for a, b in zip(seconds["ssh"][1:], seconds["local"][1:], strict=True))
    print(f"rows {len(rows):,}, {rounds} interleaved rounds, medians from the first row to the verdict:")
    print(f"  local          {statistics.median(seconds['local'][1:]):.3f} s   (start {between - started:.2f} s)")
    print(f"  ssh, loopback  {statistics.median(seconds['ssh'][1:]):.3f} s   (start {ready - between:.2f} s)")
    if memory > MEMORY_GOAL_MIB:
        finish("ssh_probe_memory_mib", memory, MEMORY_GOAL_MIB, at_most=True)
    print(f"ssh_probe_memory_mib: {memory:.0f} (goal <= {MEMORY_GOAL_MIB})")
    finish("ssh_overhead", ratio, GOAL, at_most=True)


if __name__ == "__main__":
    main()
