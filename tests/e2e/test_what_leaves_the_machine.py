"""What bundles and reports tell of the machine that made them, who may read them, and that nothing is sent anywhere."""

import getpass
import json
import os
import re
import shutil
import socket
import stat
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

import edgefair
from edgefair.cli import COMMANDS
from tests.e2e.commands import REACHED, ROWS, edit, refused, run


def places(project):
    """Folders of this machine that nobody else needs to know."""
    return [
        str(item).encode()
        for item in (project, project.parent, Path.home(), Path.cwd(), sys.prefix)
        if item != Path("/")
    ]


@pytest.fixture
def elsewhere(tmp_path):
    """A folder outside of the project."""
    (folder := tmp_path / "elsewhere").mkdir()
    return folder


def holding(folder, words):
    return [
        (str(path.relative_to(folder)), word)
        for path in folder.rglob("*")
        if path.is_file()
        for word in words
        if word in path.read_bytes()
    ]


@pytest.mark.parametrize("inside", [True, False])
def test_no_file_of_a_bundle_says_where_it_was_built(project, elsewhere, inside):
    """Every path is given as an absolute one: data, rows of calibration, output, and the folder of the runs."""
    rows = elsewhere / "rows.parquet"
    pyarrow.parquet.write_table(
        pyarrow.parquet.read_table(project / "people.parquet").take(list(range(0, ROWS, 2))), rows
    )
    edit(project, data__source=str(project / "people.parquet"), runs=str(project / "runs"))
    out = (project if inside else elsewhere) / "out" / "small"
    command = ["export", "--int8", "-c", project / "edgefair.yaml", "--no-latency", "-o", out]
    result = run(*command, "--run", "plain", "--calibration", rows)
    assert result.exit_code == 0, result.output
    report = json.loads((out / "report.json").read_text())
    shown = "out/small" if inside else "small"
    assert report["model"]["path"] == shown
    assert report["reference"]["path"] == f"{shown}/reference/model.onnx"
    assert report["audit"]["source"] == "people.parquet"
    assert report["settings"]["calibration"]["source"] == "rows.parquet"
    assert holding(out, [*places(project), getpass.getuser().encode() + b"@", b".partial-"]) == []


def test_a_model_and_a_blocked_report_say_no_more(project, elsewhere, shipped):
    model = shutil.copy(shipped / "dist/small/reference/model.onnx", elsewhere / "dense.onnx")
    out = elsewhere / "out"
    command = ["export", model, "-c", project / "edgefair.yaml", "--no-latency", "-o", out]
    assert run(*command).exit_code == 0
    assert json.loads((out / "manifest.json").read_text())["settings"]["model"] == "dense.onnx"
    assert run(*command, "--max-eo-gap", 0.001).exit_code != 0
    assert (elsewhere / "out.blocked.json").exists()
    shutil.copytree(project / "runs", elsewhere / "runs")
    assert holding(elsewhere, places(project)) == []


def test_reports_and_records_of_verify_say_no_more(project, elsewhere, shipped):
    command = ["verify", shipped / "dist/small", "-c", project / "edgefair.yaml", "--no-latency"]
    assert run(*command, "--report", elsewhere / "r.json", "--record", elsewhere / "r.npz").exit_code == 0
    again = ["verify", "--from-record", elsewhere / "r.npz", "-c", project / "edgefair.yaml"]
    assert run(*again, "--report", elsewhere / "again.json").exit_code == 0
    assert "judged from the record 'r.npz'" in (elsewhere / "again.json").read_text()
    assert holding(elsewhere, [str(elsewhere).encode(), *places(project), str(shipped).encode()]) == []


def test_records_of_people_are_their_owners_and_reports_follow_the_umask(project, elsewhere, shipped):
    def mode(name):
        return stat.S_IMODE((elsewhere / name).stat().st_mode)

    bundle = shipped / "dist/small"
    command = ["verify", bundle, "-c", project / "edgefair.yaml", "--no-latency"]
    before = os.umask(0o022)
    try:
        run(*command, "--report", elsewhere / "r.json", "--record", elsewhere / "r.npz")
        compare = ["compare", bundle / "reference/model.onnx", bundle, "-c", project / "edgefair.yaml"]
        run(*compare, "--exemplars", elsewhere / "e.csv")
        assert [mode(name) for name in ("r.json", "r.npz", "e.csv")] == [0o644, 0o600, 0o600]
        os.umask(0o077)
        run(*command, "--report", elsewhere / "s.json")
        assert mode("s.json") == 0o600
    finally:
        os.umask(before)


def test_a_link_or_a_device_is_no_place_for_a_report(project, elsewhere, shipped):
    (elsewhere / "precious").write_text("precious")
    (project / "link.json").symlink_to(elsewhere / "precious")
    os.mkfifo(project / "pipe")
    for name, said in (("link.json", "symbolic link"), ("pipe", "not a file")):
        assert said in refused(project, "verify", shipped / "dist/small", "--report", project / name)
    assert (elsewhere / "precious").read_text() == "precious"


PACKAGE = Path(edgefair.__file__).parent
# What opens connections, in the standard library and beside it.
CONNECTING = re.compile(
    r"^\s*(?:import|from) (?:_?socket|ssl|urllib\.request|http\.client|http\.server|ftplib|smtplib|xmlrpc|asyncio|"
    r"requests|httpx|aiohttp|urllib3|huggingface_hub)\b",
    re.MULTILINE,
)
STARTING = re.compile(r"^\s*(?:import|from) subprocess\b|\bos\.(?:system|popen|exec\w+|posix_spawn\w*)\(", re.MULTILINE)
# Which programs are started, and so whom edgefair can make talk to another machine.
STARTED = {
    "probe/boot.py": "the Python of a device, and its pip where the profile has no Python: the user's device",
    "probe/browser/chromium.py": "a browser that shows one page of this machine",
    "probe/clock/energy.py": "nvidia-smi or the like, which reads a meter of this machine",
    "targets/connection.py": "no program of its own: it reads from what a transport started",
    "targets/transports/base.py": "no program of its own: the type alone",
    "targets/transports/container.py": "the container engine, for the image that the user names",
    "targets/transports/images.py": "the container engine, as above",
    "targets/transports/local.py": "the probe on this machine",
    "targets/transports/prefix.py": "apt and pip, in `edgefair target prepare` alone",
    "targets/transports/qemu.py": "the probe under QEMU on this machine",
    "targets/transports/ssh.py": "ssh, to the host that the user names",
    "targets/transports/streams.py": "no program of its own: the type alone",
    "targets/runtimes/onnxruntime_web.py": "npm, in `edgefair target prepare` alone",
}


def having(pattern):
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if pattern.search(path.read_text(encoding="utf-8"))
    }


def test_nothing_of_edgefair_opens_a_connection_but_to_its_own_browser_and_to_the_cluster_that_the_user_names():
    assert having(CONNECTING) == {"probe/browser/server.py", "study/executors/ray.py"}
    assert "127.0.0.1" in (PACKAGE / "probe/browser/server.py").read_text(encoding="utf-8")


def test_what_starts_other_programs_is_listed_with_whom_they_talk_to():
    assert having(STARTING) <= set(STARTED)


def test_every_command_is_run_by_a_test_that_sees_what_it_reaches():
    """By `tests.e2e.commands.run`."""
    tests = Path(__file__).parent.parent
    text = "".join(path.read_text() for folder in ("e2e", "cli") for path in (tests / folder).glob("test_*.py"))
    assert [name for name in COMMANDS if f'"{name}"' not in text] == []


def test_what_reaches_another_machine_is_seen():
    with pytest.raises(OSError), socket.create_connection(("192.0.2.1", 9), timeout=0.01):
        pass
    assert REACHED.pop()[1] == "192.0.2.1"
    REACHED.clear()


@pytest.mark.parametrize("command", ["doctor", "check"])
def test_commands_that_no_other_test_runs_reach_nobody(shipped, command):
    arguments = [shipped / "edgefair.yaml"] if command == "check" else []
    assert run(command, *arguments).exit_code == 0
