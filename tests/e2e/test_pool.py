"""A pool's verdict: the counts of one device whatever happens to another, and the worst device's clock."""

import json

import numpy as np
import pytest

import edgefair
from edgefair.bundle.attestation import statement
from edgefair.bundle.manifest import open_bundle
from edgefair.bundle.redecision import check_decision
from edgefair.errors import ModelError
from edgefair.progress import Progress
from edgefair.workflow.clock import today
from tests.attacks.judged import CONFIG, linear, people, report, run, spec, write_project
from tests.targets.pools import kill, pool_of, started  # noqa: F401 - a fixture

ROWS = 6000
ALL = CONFIG.replace("policy:", "  split: {audit_fraction: 1}\npolicy:")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = write_project(tmp_path_factory.mktemp("pool"), ALL, people(ROWS))
    linear(folder / "m.onnx", said=spec())
    linear(folder / "before.onnx", (2.0, 0.0, 0.05), said=spec())
    return folder


@pytest.fixture(scope="module")
def alone(project):
    """What one device shows."""
    return report("verify", project, project / "m.onnx", "--reference", project / "before.onnx", "--no-latency")[1]


def shares(judged):
    return {item["name"]: item["rows"] for item in judged["targets"][0]["evidence"]["pool"]}


def same_counts(judged, alone):
    one, other = judged["targets"][0], alone["targets"][0]
    return one["counts"] == other["counts"] and one["evidence"]["paired"] == other["evidence"]["paired"]


def test_a_killed_device_loses_nothing_the_counts_are_those_of_one(project, tmp_path, started, alone):  # noqa: F811
    config = edgefair.load_config(project / "edgefair.yaml", {"targets": [pool_of(tmp_path, "a", "b")]})

    def killing(done, _total, what):
        if what == "deciding (candidate)" and done >= ROWS / 3 and started["b"].returncode is None:
            kill(started["b"])

    model, before = project / "m.onnx", project / "before.onnx"
    found = edgefair.verify(config, model, reference=before, latency=False, progress=Progress(killing)).to_json()
    assert same_counts(found, alone)
    assert shares(found)["b"] < ROWS
    assert sum(shares(found).values()) == ROWS
    (note,) = (note for note in found["notes"] if "was lost after" in note)
    assert (
        f"'b', a device of target 'pool:{tmp_path}/a.yaml,{tmp_path}/b.yaml', was lost after {shares(found)['b']:,}"
        in note
    )
    assert "killed by SIGKILL" in note
    check_decision(json.loads(json.dumps(found)), today=today())
    moved = json.loads(json.dumps(found))
    first, second = moved["targets"][0]["evidence"]["pool"]
    first["rows"], second["rows"] = first["rows"] - 10, second["rows"] + 10
    with pytest.raises(ModelError, match=r"'b' of target .* decided [\d,]+ rows"):
        check_decision(moved, today=today())


def tell_a_fast_one(target):
    devices = target["evidence"]["pool"]
    devices[0]["latency"] = {**devices[0]["latency"], "p90_ms": devices[1]["latency"]["p90_ms"] / 2}
    target["latency"] = target["evidence"]["latency"] = devices[0]["latency"]


def call_all_alike(target):
    for item in target["evidence"]["pool"]:
        item["name"] = "a"


def halve_loads(target):
    loading = target["evidence"]["footprint"]
    loading["load_ms"] = [value / 2 for value in loading["load_ms"]]


def test_a_latency_gate_is_that_of_every_device_and_a_record_keeps_them(project, tmp_path, quiet_device):
    model, target = project / "m.onnx", pool_of(tmp_path, "a", "b")
    limits = ("--target", target, "--max-latency-p90", "1000", "--set", "policy.max_load_ms=100000")
    code, judged = report("verify", project, model, *limits, "--record", tmp_path / "raw.npz")
    (found,) = (gate for gate in judged["targets"][0]["verdict"]["gates"] if gate["id"] == "latency_p90")
    assert (code, found["outcome"]) == (0, "PASS")
    assert "the worst of 2 devices" in found["reason"]
    devices = judged["targets"][0]["evidence"]["pool"]
    assert [item["name"] for item in devices] == ["a", "b"]
    assert all(item["latency"]["queries"] >= 2000 and item["footprint"]["load_ms"] for item in devices)
    assert all(item["device"]["cpu"] == judged["targets"][0]["device"]["cpu"] for item in devices)
    check_decision(judged, today=today())
    again = report("verify", project, "--from-record", tmp_path / "raw.npz", "--max-latency-p90", "1000")[1]
    assert again["targets"][0]["evidence"]["pool"] == devices
    text = run("verify", project, "--from-record", tmp_path / "raw.npz").stdout
    assert "2 devices; what is said of the clock above is of the slowest" in " ".join(text.split())
    for said, edit in (
        ("not that of its slowest", tell_a_fast_one),
        ("two devices of a pool have one name", call_all_alike),
        ("are not those of its devices", halve_loads),
    ):
        edited = json.loads(json.dumps(judged))
        edit(edited["targets"][0])
        with pytest.raises(ModelError, match=said):
            check_decision(edited, today=today())
    judged["targets"][0]["evidence"]["pool"][0]["rows"] += 1
    with pytest.raises(ModelError, match="did not decide all rows"):
        check_decision(judged, today=today())


def test_steps_end_early_on_a_pool_and_seals_take_it(project, tmp_path, alone):
    model, target = project / "m.onnx", pool_of(tmp_path, "a", "b")
    code, judged = report("verify", project, model, "--no-latency", "--sequential", "--target", target)
    looks = judged["targets"][0]["looks"]
    assert (code, sum(shares(judged).values())) == (0, looks["rows"])
    sealed = write_project(tmp_path / "sealed", ALL + "  audit: sealed\n", people(ROWS))
    code, judged = report("verify", sealed, model, "--no-latency", "--target", target)
    assert (code, judged["seal"]["verdict"], sum(shares(judged).values())) == (0, 1, ROWS)
    assert judged["targets"][0]["counts"] == alone["targets"][0]["counts"]


def test_an_attestation_says_how_many_rows_each_device_decided(project, tmp_path):
    target, bundle = pool_of(tmp_path, "a", "b"), tmp_path / "bundle"
    done = run("export", project, project / "m.onnx", "--no-latency", "--target", target, "--output", bundle, "--json")
    assert done.exit_code == 0, done.stderr
    (said,) = statement(open_bundle(bundle))["predicate"]["targets"]
    assert said["name"] == target
    assert {item["name"]: item["rows"] for item in said["pool"]} == shares(
        json.loads((bundle / "report.json").read_text())
    )
    assert np.sum([item["rows"] for item in said["pool"]]) == ROWS
