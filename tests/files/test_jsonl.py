"""A log of JSON lines survives what happens to files."""

import json
import subprocess
import sys

from edgefair.jsonl import append, entries

DAMAGE = [b"\xff\xfe\x00", b"{", b'{"a": "unfini', b"[1, 2]", b"null", b"", b"[" * 100_000, b"1" * 5000, b"\x00" * 40]


def add(path, entry):
    with path.open("ab+", buffering=0) as stream:
        append(stream.fileno(), entry)


def test_damaged_lines_are_no_entries_and_cost_no_others():
    lines = [part for index, damage in enumerate(DAMAGE) for part in (damage, json.dumps({"n": index}).encode())]
    assert [item["n"] for item in entries(b"\n".join(lines))] == list(range(len(DAMAGE)))


def test_an_entry_after_a_torn_line_is_a_line_of_its_own(tmp_path):
    path = tmp_path / "log"
    add(path, {"n": 1})
    with path.open("ab") as stream:
        stream.write(b'{"n": 2')
    add(path, {"n": 3})
    assert [item["n"] for item in entries(path.read_bytes())] == [1, 3]


FULL = """
import resource, signal, sys
from pathlib import Path
from edgefair.jsonl import append
path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, resource.RLIM_INFINITY))
with path.open("ab+", buffering=0) as stream:
    try:
        append(stream.fileno(), {"n": "x" * 100})
    except OSError:
        sys.exit(7)
"""


def test_an_entry_that_does_not_fit_on_the_disk_leaves_no_part_of_it(tmp_path):
    path = tmp_path / "log"
    add(path, {"n": 1})
    before = path.read_bytes()
    assert subprocess.run([sys.executable, "-c", FULL, str(path)], check=False).returncode == 7
    assert path.read_bytes() == before
