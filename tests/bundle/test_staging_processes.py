"""Exports that are killed, that run side by side, and that share a folder across containers: with real processes."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgefair.bundle.manifest import open_bundle
from edgefair.bundle.staging import staging
from tests.bundle.test_staging import ship

# Where a Python that is started finds the tests and the package.
ROOT = Path(__file__).parent.parent.parent
CHILD = """
import os, signal, sys
from pathlib import Path
from tests.bundle.test_staging import write_bundle
import edgefair.bundle.staging as module
destination, content, way = Path(sys.argv[1]), sys.argv[2].encode(), sys.argv[3]
if "aside" in way:
    module.exchange = lambda *_: False
if "die" in way:
    def die(old, new):
        Path.replace(old, new)
        os.kill(os.getpid(), signal.SIGKILL)
    Path.rename = die
for _ in range(25 if "often" in way else 1):
    with module.staging(destination) as folder:
        write_bundle(folder, content)
        if "wait" in way:
            print(os.getpid(), flush=True)
            sys.stdin.read()
        module.publish(folder, destination)
"""


def child(destination, content, way, *before):
    command = [*before, sys.executable, "-c", CHILD, str(destination), content, way]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def ended(process):
    said = process.communicate()
    assert process.returncode == 0, said
    return process


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def namespace():
    """The command that starts another in a pid namespace of its own, as containers do."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a pid namespace")
    return command


def test_what_a_killed_export_left_is_removed_and_a_living_one_is_left_alone(tmp_path):
    out = tmp_path / "out"
    with child(out, "killed", "wait") as killed, child(out, "living", "wait") as living:
        for process in (killed, living):
            process.stdout.readline()
        killed.kill()
        killed.wait()
        (other := tmp_path / ".other.partial-ab12cd34").mkdir()
        assert len(names(tmp_path)) == 3
        ship(out, b"one")
        assert len(names(tmp_path)) == 3, "out, the living one's, the other's"
        assert open_bundle(out).model.read_bytes() == b"one"
        ended(living)
    assert open_bundle(out).model.read_bytes() == b"living"
    assert names(tmp_path) == [other.name, "out"]


def test_an_export_in_a_container_of_the_same_process_id_goes_on_after_a_killed_one(tmp_path):
    before = namespace()
    out = tmp_path / "out"
    with child(out, "killed", "wait", *before) as killed:
        process_id = killed.stdout.readline()
        killed.kill()
        killed.wait()
    assert len(names(tmp_path)) == 1
    with child(out, "next", "wait", *before) as again:
        assert again.stdout.readline() == process_id
        ended(again)
    assert open_bundle(out).model.read_bytes() == b"next"
    assert names(tmp_path) == ["out"]


def test_exports_in_two_containers_that_share_a_folder_leave_each_other_alone(tmp_path):
    out = tmp_path / "out"
    with child(out, "first", "wait", *namespace()) as first, child(out, "second", "wait", *namespace()) as second:
        assert first.stdout.readline() == second.stdout.readline()
        ship(out, b"third")
        ended(first)
        assert open_bundle(out).model.read_bytes() == b"first"
        ended(second)
    assert open_bundle(out).model.read_bytes() == b"second"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("way", ["often", "often aside"])
def test_many_exports_to_one_destination_all_end_well_and_a_whole_bundle_stays(tmp_path, way):
    out = tmp_path / "out"
    contents = ["one", "two", "three"]
    for process in [child(out, content, way) for content in contents]:
        ended(process)
    assert open_bundle(out).model.read_bytes().decode() in contents
    assert names(tmp_path) == ["out"]


def test_a_kill_while_the_old_bundle_is_put_aside_gives_it_back_at_the_next_start(tmp_path):
    out = tmp_path / "out"
    ship(out, b"old")
    with child(out, "new", "aside die") as killed:
        assert killed.wait() == -signal.SIGKILL
    assert not out.exists()
    with staging(out):  # an export that will be blocked
        assert open_bundle(out).model.read_bytes() == b"old"
    assert names(tmp_path) == ["out"]


def test_where_a_newer_bundle_has_the_place_the_old_one_is_not_put_back(tmp_path):
    out = tmp_path / "out"
    ship(out, b"old")
    with child(out, "new", "wait") as other:
        other.stdout.readline()
        with child(out, "new", "aside die") as killed:
            assert killed.wait() == -signal.SIGKILL
        ended(other)
    ship(out, b"newer")
    assert open_bundle(out).model.read_bytes() == b"newer"
    assert names(tmp_path) == ["out"]
