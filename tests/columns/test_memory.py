"""The memory of an audit does not grow with its rows, once their columns lie in files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
# Rows of the smaller set, how many times as many the larger one has, and MiB that its peak may be above.
ROWS, TIMES, MORE_MIB = 50_000, 10, 16
VERIFY = """
import pathlib
from edgefair.cli import main
from edgefair.columns import ranges, stored

stored.HELD_BYTES, ranges.MOST = 1 << 20, 1 << 17
try:
    main(["verify", "model.onnx", "--uncompressed", "--no-latency", "--json"])
finally:
    # Not what getrusage has, which remembers the process that started this one.
    status = pathlib.Path("/proc/self/status").read_text()
    pathlib.Path("peak").write_text(status.partition("VmHWM:")[2].split()[0])
"""


def peak_mib(folder, rows):
    """Of the host that judges so many rows."""
    folder.mkdir()
    from growth import write_project

    write_project(folder, rows, 2)
    ended = subprocess.run([sys.executable, "-c", VERIFY], cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["audit"]["rows"] == rows
    return int((folder / "peak").read_text()) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere pages that were let go are counted otherwise")
def test_ten_times_as_many_rows_take_no_more_memory(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    few, many = peak_mib(tmp_path / "few", ROWS), peak_mib(tmp_path / "many", TIMES * ROWS)
    assert many - few < MORE_MIB, f"{few:.0f} and {many:.0f} MiB"
