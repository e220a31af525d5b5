"""Closed and full streams: no command hangs, and none says PASS to whoever cannot have the report."""

import os
import shlex
import subprocess
import sys

import pytest

from tests.e2e.forked import program

COMMAND = "{edgefair} verify {bundle} -c {config} --no-latency {flags} {streams}"
# A Python starts anew where these are its flags and streams; it is forked where they differ in what edgefair sees.
ANEW = {"<&- >&- 2>&-", "<&- 2>&-", "2>/dev/full", "--json >/dev/full"}


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    with program(tmp_path_factory.mktemp("tools")) as folder:
        yield folder / "edgefair"


@pytest.fixture
def verified(project, shipped, forked):
    def verified(streams, flags="", **environment):
        """Exit code and what was said on a stderr that is open."""
        edgefair = [sys.executable, "-m", "edgefair"] if f"{flags} {streams}".strip() in ANEW else [forked]
        values = {"edgefair": edgefair, "bundle": [shipped / "dist/small"], "config": [project / "edgefair.yaml"]}
        quoted = {name: shlex.join(map(str, item)) for name, item in values.items()}
        command = COMMAND.format(**quoted, flags=flags, streams=streams)
        environment = os.environ | environment
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False, env=environment
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    return verified


@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", ">&- 2>&-", ">&-"])
def test_a_closed_stdout_is_refused_before_anything_is_measured(project, verified, streams):
    code, said = verified(streams)
    assert code == 2
    assert not (project / "edgefair.ledger.jsonl").exists()
    if "2>" not in streams:
        assert "stdout is closed" in said


@pytest.mark.parametrize("streams", ["<&-", "2>&-", "<&- 2>&-", "2>/dev/full", "<&- 2>/dev/full"])
def test_a_verdict_needs_neither_stdin_nor_stderr(verified, streams):
    assert verified(streams)[0] == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("flags", ["", "--json"])
def test_a_report_that_cannot_be_printed_is_no_pass(verified, flags, unbuffered):
    code, said = verified(">/dev/full", flags, PYTHONUNBUFFERED=unbuffered)
    assert code == 4
    assert "the result could not be printed: No space left on device" in said
    assert verified(">/dev/full 2>/dev/full", flags, PYTHONUNBUFFERED=unbuffered)[0] == 4


def test_an_error_that_nobody_can_read_keeps_its_exit_code(verified):
    for flags in ("--nonsense", "--set data.source=absent.csv", "--debug --set data.source=absent.csv"):
        assert verified("2>/dev/full", flags)[0] == 2


LIBRARY = """
import os, sys
from pathlib import Path
import edgefair
for number in range(3):
    os.close(number)
report = edgefair.verify(edgefair.load_config(Path(sys.argv[1])), Path(sys.argv[2]), latency=False)
Path(sys.argv[3]).write_text(str(report.outcome))
os._exit(0)
"""


def test_a_program_that_closed_its_streams_can_verify(project, shipped, tmp_path):
    paths = [project / "edgefair.yaml", shipped / "dist/small", tmp_path / "outcome"]
    subprocess.run([sys.executable, "-c", LIBRARY, *map(str, paths)], timeout=120, check=True)
    assert (tmp_path / "outcome").read_text() == "PASS"
