"""Export and verify on a device behind a real OpenSSH server: connections that break, a full disk, a fleet."""

import collections
import json
import os
import signal
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import numpy_helper

import edgefair
from edgefair.bundle.manifest import open_bundle
from edgefair.probe.device import fingerprint, saturates_int8
from edgefair.targets import sending
from edgefair.targets.connection import Connection
from tests.compress.quantization.brightness import SATURATES
from tests.e2e.commands import run
from tests.e2e.forked import exit_code
from tests.e2e.stripes import gaps, outcomes, write_haswell, write_stripes
from tests.targets.openssh import running, serving

pytestmark = [pytest.mark.e2e, pytest.mark.target]
EXACT = pytest.mark.skipif(saturates_int8(fingerprint()), reason="this processor has no VNNI: it saturates itself")


@pytest.fixture
def server(tmp_path, monkeypatch):
    folder = tmp_path / "board"
    folder.mkdir()
    with serving(folder, monkeypatch) as made:
        yield made


@pytest.fixture
def stripes(tmp_path, monkeypatch):
    write_stripes(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def board(server, stripes):
    """Path of the profile of the device."""
    profile = server.profile().model_copy(update={"name": "board"})
    path = stripes / "board.yaml"
    path.write_text(yaml.safe_dump(profile.model_dump(mode="json", exclude_unset=True)))
    return path


def export(*arguments):
    return run("export", "stripes.onnx", "--int8", "--no-latency", *arguments)


def report(stripes):
    return json.loads((stripes / "dist/stripes/report.json").read_text())


def left(server):
    """What the device keeps, by its kind."""
    return collections.Counter(Path(name).parts[0] for name in server.files())


def break_connections(monkeypatch, *moments):
    """Kill ssh just before the n-th request of a kind goes out, for every (kind, n); kinds -> requests so far."""
    seen = collections.Counter()
    real = Connection.encode

    def encode(self, request, arrays=None):
        seen[request["do"]] += 1
        if (request["do"], seen[request["do"]]) in moments:
            os.kill(self._process.pid, signal.SIGKILL)
        return real(self, request, arrays)

    monkeypatch.setattr(Connection, "encode", encode)
    return seen


def test_an_export_is_judged_on_the_device_and_leaves_only_its_cache_there(server, board, stripes):
    address = f"{board}=ssh://127.0.0.1:{server.port}"
    done = export("--target", address)
    assert done.exit_code == 0, done.output
    found = report(stripes)
    assert outcomes(found) == {address: "PASS"}
    shipped = open_bundle(stripes / "dist/stripes")
    assert found["model"]["sha256"] == shipped.manifest.files["model.onnx"].sha256
    assert left(server) == {"lock": 1, "models": 2}
    assert [path.name for path in server.home.iterdir()] == ["edgefair"]
    assert server.probes() == []
    assert running("ssh", str(server.port), str(server.folder / "ssh_config")) == []
    again = run("verify", "--no-latency", "--target", address, "--target", "local", "--json")
    assert again.exit_code == 0, again.output
    (pair,) = json.loads(again.stdout)["disagreements"]
    assert pair["differing"] == 0


def test_connections_that_break_during_an_export_change_nothing_of_what_ships(server, board, stripes, monkeypatch):
    assert export("--target", board).exit_code == 0
    whole = report(stripes)
    for path in (server.home / "edgefair/models").iterdir():
        path.unlink()
    monkeypatch.setattr(sending, "CHUNK_BYTES", 512)
    monkeypatch.setattr("edgefair.workflow.measurement.decide_rows.BATCH_ROWS", 40)
    seen = break_connections(monkeypatch, ("store", 3), ("run", 4), ("store", 20), ("run", 20))
    done = export("--target", board, "-o", stripes / "dist/stripes")
    assert done.exit_code == 0, done.output
    assert seen["hello"] > 4
    found = report(stripes)
    assert found["model"] == whole["model"]
    assert found["targets"][0]["verdict"] == whole["targets"][0]["verdict"]
    assert found["targets"][0]["counts"] == whole["targets"][0]["counts"]
    assert left(server) == {"lock": 1, "models": 2}
    assert server.probes() == []


@pytest.mark.parametrize("moment", [("store", 3), ("run", 4), ("latency", 1), ("tidy", 1)])
def test_a_connection_that_breaks_during_a_verification_changes_no_verdict(server, board, stripes, monkeypatch, moment):
    monkeypatch.setattr(sending, "CHUNK_BYTES", 512)
    monkeypatch.setattr("edgefair.workflow.measurement.decide_rows.BATCH_ROWS", 40)
    seen = break_connections(monkeypatch, moment)
    done = run("verify", "stripes.onnx", "--target", board, "--json")
    assert done.exit_code == 0, done.output
    assert seen[moment[0]] > moment[1] or moment[0] == "tidy"
    found = json.loads(done.stdout)
    assert gaps(found) == {"board": 0.0}
    assert left(server)["models"] == 1
    assert server.probes() == []


def test_a_device_whose_disk_is_full_ends_the_export_and_nothing_is_shipped(server, board, stripes):
    ballast = numpy_helper.from_array(np.zeros(1 << 19, np.float32), "ballast")
    model = onnx.load_model(stripes / "stripes.onnx")
    model.graph.initializer.append(ballast)
    onnx.save_model(model, stripes / "stripes.onnx")
    server.before.write_text("ulimit -f 2048\n")
    done = export("--target", board)
    assert done.exit_code == 4
    assert "target 'board'" in done.stderr
    assert "no_space" in done.stderr
    assert not (stripes / "dist").exists()
    assert left(server) == {"lock": 1}
    assert server.probes() == []


def export_and_die(folder):
    """Export in a process that kills itself when the second trial begins."""

    def die(_done, _total, what):
        if what.startswith("trial 2"):
            os.kill(os.getpid(), signal.SIGKILL)

    config = edgefair.load_config(folder / "edgefair.yaml")
    edgefair.export(config, model="stripes.onnx", int8="static", latency=False, progress=edgefair.Progress(die))


@EXACT
def test_a_repair_for_a_fleet_goes_on_where_it_was_killed_and_passes_on_every_device(server, board, stripes):
    targets = [str(board), "local", str(write_haswell(stripes, reduce_range=False))]
    config = yaml.safe_load((stripes / "edgefair.yaml").read_text())
    (stripes / "edgefair.yaml").write_text(yaml.safe_dump({**config, "targets": targets}))
    assert exit_code(export_and_die, stripes) == -signal.SIGKILL
    assert not (stripes / "dist/stripes").exists()
    (log,) = (stripes / "runs/repair").glob("*/trials.jsonl")
    before = log.read_text()
    (recipe,) = [of_gap(json.loads(line)["trial"]) for line in before.splitlines()]
    assert recipe == {"board": "PASS", "local": "PASS", "haswell": "FAIL"}
    done = run("export", "stripes.onnx", "--int8", "static", "--no-latency")
    assert done.exit_code == 0, done.output
    assert log.read_text().startswith(before)
    settings = open_bundle(stripes / "dist/stripes").manifest.settings
    assert (settings["seven_bit"], settings["reduce_range"]) == ([SATURATES], False)
    assert settings["float_nodes"] == ["decide", "edges"]  # too small to gain by INT8; the first one, on colours
    trials = settings["repair"]["trials"]
    assert [bool(trial["choice"]["seven_bit"]) for trial in trials] == [False, True]
    assert of_gap(trials[1]) == {"board": "PASS", "local": "PASS", "haswell": "PASS"}
    assert log.read_text().count("\n") == 2
    found = report(stripes)
    assert outcomes(found) == {"board": "PASS", "local": "PASS", "haswell": "PASS"}
    assert max(gaps(found).values()) < 0.02
    assert f"7-bit weights in {SATURATES}" in " ".join(done.stdout.split())
    assert server.probes() == []


def of_gap(trial):
    return {target: gates["eo_gap"] for target, gates in trial["gates"].items()}
