"""SIGKILL at every stage of an export leaves the whole old bundle, or the whole new one, or none: never a part."""

import subprocess
import sys
import tempfile

import pytest

from edgefair.bundle.manifest import open_bundle
from tests.e2e.commands import run

STAGES = [
    "reading",
    "exporting to ONNX",
    "calibrating (int8-balanced)",
    "starting local",
    "deciding (candidate)",
    "deciding (reference)",
    "timing",
    "writing",
    "publishing",
    "published",
]
CHILD = """
import os, signal, sys
from pathlib import Path
import edgefair
config, out, stage = sys.argv[1:]
def die(done, total, what):
    if what == stage:
        os.kill(os.getpid(), signal.SIGKILL)
progress = edgefair.Progress(die)
edgefair.export(edgefair.load_config(config), run="plain", int8="auto", output=out, progress=progress)
"""
# In the middle of publishing: after the files are durable and before, or after, the folders change places.
IN_PUBLISH = """
import os, signal, sys
import edgefair.bundle.staging as staging
real = staging._exchange
def die(one, other):
    if sys.argv[3] == "after exchange":
        real(one, other)
    os.kill(os.getpid(), signal.SIGKILL)
staging._exchange = die
"""


def export_and_die(project, stage, prelude=""):
    command = [sys.executable, "-c", prelude + CHILD, project / "edgefair.yaml", project / "out", stage]
    return subprocess.run(command, capture_output=True, check=False).returncode


def mark(bundle):
    return (bundle / "report.json").read_bytes()


@pytest.mark.e2e
@pytest.mark.parametrize("stage", [*STAGES, "before exchange", "after exchange"])
def test_a_kill_leaves_a_whole_bundle(project, stage):
    out = project / "out"
    assert run("export", "-c", project / "edgefair.yaml", "-o", out, "--no-latency").exit_code == 0
    old = mark(out)
    assert export_and_die(project, stage, IN_PUBLISH if "exchange" in stage else "") == -9
    assert open_bundle(out).manifest.outcome == "PASS"
    assert (mark(out) == old) == (stage not in {"published", "after exchange"})
    assert run("export", "--int8", "-c", project / "edgefair.yaml", "-o", out, "--no-latency").exit_code == 0
    assert mark(out) != old
    assert not [path.name for path in project.iterdir() if path.name.startswith(".")], "leftovers of the killed export"


@pytest.mark.e2e
@pytest.mark.parametrize("stage", ["timing", "writing", "publishing", "published"])
def test_a_kill_of_a_first_export_leaves_none_or_a_whole_bundle(project, stage):
    assert export_and_die(project, stage) == -9
    assert (project / "out").exists() == (stage == "published")
    if stage == "published":
        open_bundle(project / "out")


HOLDER = """
import sys
from edgefair.scratch import work_folder
with work_folder() as folder:
    (folder / "model.onnx").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.mark.e2e
def test_temporary_files_of_a_killed_export_go_with_the_next_one_and_those_of_a_living_process_stay(
    project, tmp_path, monkeypatch
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert export_and_die(project, "timing") == -9
    (left,) = temporary.iterdir()
    assert (left / "trial.onnx").is_file()
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=pipe, stdout=pipe, text=True) as holder:
        living = holder.stdout.readline().strip()
        assert [str(path) for path in temporary.iterdir()] == [living]
        left.mkdir()
        assert run("export", "--int8", "-c", project / "edgefair.yaml", "--no-latency").exit_code == 0
        assert [str(path) for path in temporary.iterdir()] == [living]
        holder.communicate()
    assert list(temporary.iterdir()) == []
