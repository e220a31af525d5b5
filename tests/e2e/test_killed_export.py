"""SIGKILL at every stage of an export leaves the whole old bundle, or the whole new one, or none: never a part."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

import edgefair
from edgefair.bundle import staging
from edgefair.bundle.manifest import open_bundle
from tests.e2e.commands import run
from tests.e2e.forked import exit_code
from tests.targets.quiet import quiet

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


def export_and_die(project, stage):
    """Export in a process that kills itself at a stage; also in the middle of publishing, after the files are durable
    and before, or after, the folders change places."""

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def exchange_and_die(one, other):
        exchange(one, other)
        die()

    exchange = staging.exchange
    staging.exchange = {"before exchange": die, "after exchange": exchange_and_die}.get(stage, exchange)
    progress = edgefair.Progress(lambda _done, _total, what: die() if what == stage else None)
    config = edgefair.load_config(project / "edgefair.yaml")
    with quiet():
        edgefair.export(config, run="plain", int8="auto", output=project / "out", progress=progress)


def killed_at(project, stage):
    return exit_code(export_and_die, project, stage) == -signal.SIGKILL


def mark(bundle):
    return (bundle / "report.json").read_bytes()


@pytest.fixture(scope="module")
def earlier(trained, tmp_path_factory):
    """A bundle that was exported before."""
    out = tmp_path_factory.mktemp("earlier") / "out"
    assert run("export", "-c", trained / "fair/edgefair.yaml", "-o", out, "--no-latency").exit_code == 0
    return out


@pytest.mark.e2e
@pytest.mark.parametrize("stage", [*STAGES, "before exchange", "after exchange"])
def test_a_kill_leaves_a_whole_bundle(project, earlier, stage):
    out = project / "out"
    shutil.copytree(earlier, out)
    old = mark(out)
    assert killed_at(project, stage)
    assert open_bundle(out).manifest.outcome == "PASS"
    assert (mark(out) == old) == (stage not in {"published", "after exchange"})
    assert run("export", "--int8", "-c", project / "edgefair.yaml", "-o", out, "--no-latency").exit_code == 0
    assert mark(out) != old
    assert not [path.name for path in project.iterdir() if path.name.startswith(".")], "leftovers of the killed export"


@pytest.mark.e2e
@pytest.mark.parametrize("stage", ["timing", "writing", "publishing", "published"])
def test_a_kill_of_a_first_export_leaves_none_or_a_whole_bundle(project, stage):
    assert killed_at(project, stage)
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
    assert killed_at(project, "timing")
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
