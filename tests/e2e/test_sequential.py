"""`--sequential`: the device is asked for no more rows than the verdict needs."""

import json
import math
import os
import signal
from collections import Counter

import numpy as np
import pytest

from edgefair.bundle.redecision import check_decision
from edgefair.measure.sequential.levels import levels
from edgefair.measure.sequential.looks import units_at
from edgefair.targets import Probe
from edgefair.targets.transports.local import LocalTransport
from edgefair.workflow.clock import today
from tests.attacks.judged import CONFIG, linear, people, report, run, write_project

ROWS = 12_000
ALL = CONFIG.replace("policy:", "  split: {audit_fraction: 1}\npolicy:")
FAIR, UNFAIR, BORDERLINE = (2.0, 0.0, 0.0), (2.0, 1.5, 0.0), (2.0, 0.42, 0.0)
QUICK = ("--no-latency",)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("sequential"), ALL, people(ROWS))


@pytest.fixture
def asked(monkeypatch):
    """Rows that devices ran in batches, by the name of the model."""
    counted = Counter()
    original = Probe.run

    def counting(self, model, batches, outputs, **how):
        for answers in original(self, model, batches, outputs, **how):
            if not how.get("one_by_one"):
                counted[model.name] += len(next(iter(answers.values())))
            yield answers

    monkeypatch.setattr(Probe, "run", counting)
    return counted


def looked(judged):
    return judged["targets"][0]["looks"]


def test_a_fair_model_is_decided_on_the_first_rows(project, tmp_path, asked):
    code, judged = report("verify", project, linear(tmp_path / "m.onnx", FAIR), *QUICK, "--sequential")
    looks = looked(judged)
    assert (code, judged["outcome"]) == (0, "PASS")
    assert asked == {"candidate": looks["rows"]}
    assert looks["rows"] == units_at(looks["taken"], ROWS) < ROWS / 2
    assert looks["rows_at_hand"] == judged["audit"]["rows"] == ROWS
    assert np.sum(judged["targets"][0]["counts"]["table"]) == looks["rows"]
    assert judged["targets"][0]["verdict"]["alpha"] == levels(0.05)[looks["taken"] - 1].passing
    assert looks["levels"] == [level.passing for level in levels(0.05)]


def test_an_unfair_model_is_left_as_soon_as_that_is_shown(project, tmp_path, asked):
    code, judged = report("verify", project, linear(tmp_path / "m.onnx", UNFAIR), *QUICK, "--sequential")
    assert (code, looked(judged)["taken"]) == (1, 1)
    assert asked == {"candidate": units_at(1, ROWS)}


def test_what_no_look_shows_is_decided_on_all_rows_as_without_looks(project, tmp_path, asked):
    model = linear(tmp_path / "m.onnx", BORDERLINE)
    code, judged = report("verify", project, model, *QUICK, "--sequential")
    assert asked == {"candidate": ROWS}
    plain_code, plain = report("verify", project, model, *QUICK)
    assert (code, plain_code) == (3, 3)
    assert (looked(judged)["taken"], looked(plain)) == (5, None)
    one, other = judged["targets"][0], plain["targets"][0]
    assert one["counts"] == other["counts"]
    assert one["verdict"]["alpha"] < other["verdict"]["alpha"] == 0.05
    limits = [found["verdict"]["gates"][0] for found in (one, other)]
    assert limits[0]["lower"] < limits[1]["lower"] < limits[1]["upper"] < limits[0]["upper"]


def test_the_reference_decides_the_same_rows_and_the_gates_of_both_must_be_shown(project, tmp_path, asked):
    model, before = linear(tmp_path / "m.onnx", FAIR), linear(tmp_path / "before.onnx", (2.0, 0.0, 0.05))
    arguments = ("--reference", before, "--max-eo-increase", "0.05", *QUICK, "--sequential")
    code, judged = report("verify", project, model, *arguments)
    rows = looked(judged)["rows"]
    assert (code, asked) == (0, {"candidate": rows, "reference": rows})
    assert rows < ROWS
    assert np.sum(judged["targets"][0]["evidence"]["paired"]["table"]) == rows


def test_every_target_ends_on_its_own_and_the_release_is_the_worst(project, tmp_path):
    second = tmp_path / "second.yaml"
    second.write_text("name: second\ntransport: local\nbudgets: {max_size_bytes: 10}\nlatency: {measured: false}\n")
    model = linear(tmp_path / "m.onnx", FAIR)
    code, judged = report("verify", project, model, *QUICK, "--sequential", "--target", "local", "--target", second)
    taken = [target["looks"]["taken"] for target in judged["targets"]]
    assert (code, [target["verdict"]["outcome"] for target in judged["targets"]]) == (1, ["PASS", "FAIL"])
    assert taken[1] == 1
    (pair,) = judged["disagreements"]
    assert pair["rows"] == min(target["looks"]["rows"] for target in judged["targets"])
    assert pair["differing"] == 0


def test_latency_is_measured_once_after_the_last_look_and_can_still_block(project, tmp_path, quiet_device):
    model = linear(tmp_path / "m.onnx", FAIR)
    short = tmp_path / "short.yaml"
    short.write_text("name: short\ntransport: local\nlatency: {min_seconds: 0.2, max_seconds: 20, min_queries: 2000}\n")
    code, judged = report("verify", project, model, "--sequential", "--target", short, "--max-latency-p90", "0.000001")
    gates = {gate["id"]: gate["outcome"] for gate in judged["targets"][0]["verdict"]["gates"]}
    assert (code, gates.pop("latency_p90")) == (1, "FAIL")
    assert set(gates.values()) == {"PASS"}
    assert looked(judged)["rows"] < ROWS
    check_decision(judged, today=today())


@pytest.mark.parametrize("weights", [FAIR, UNFAIR])
def test_latency_beside_decisions_is_judged_by_what_the_look_may_err_by(project, tmp_path, quiet_device, weights):
    model = linear(tmp_path / "m.onnx", weights)
    short = tmp_path / "short.yaml"
    rules = "{min_seconds: 0.2, max_seconds: 20, min_queries: 4000, min_effective_queries: 200}"
    short.write_text(f"name: short\ntransport: local\nlatency: {rules}\n")
    code, judged = report("verify", project, model, "--sequential", "--target", short, "--max-latency-p90", "1000")
    assert (code, looked(judged)["rows"] < ROWS) == (0 if weights == FAIR else 1, True)
    (target,) = judged["targets"]
    latency = next(gate for gate in target["verdict"]["gates"] if gate["id"] == "latency_p90")
    steps = target["latency"]["ladder"]["upper_ms"]
    assert latency["outcome"] == "PASS"
    assert latency["upper"] == steps[math.ceil(math.log2(0.05 / target["verdict"]["alpha"]))]
    check_decision(judged, today=today())


def test_a_device_that_is_lost_between_looks_gives_no_verdict(project, tmp_path, monkeypatch):
    started, original = [], LocalTransport.start

    def remembered(self):
        started.append(original(self))
        return started[-1]

    def lost(*_):
        os.kill(started[-1].pid, signal.SIGKILL)
        return False

    monkeypatch.setattr(LocalTransport, "start", remembered)
    monkeypatch.setattr("edgefair.workflow.measurement.sequential.stopping.may_stop", lost)
    done = run("verify", project, linear(tmp_path / "m.onnx", FAIR), *QUICK, "--sequential", "--json")
    assert (done.exit_code, json.loads(done.stdout)["schema"]) == (4, "edgefair.error/1")
    assert "the probe was lost (killed by SIGKILL)" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rule", "point"), "--sequential with policy.rule: point"),
        (("--record", "raw.npz"), "--sequential with --record"),
        (("--from-record", "raw.npz"), "--from-record judges recorded measurements"),
    ],
)
def test_what_has_no_limits_over_several_looks_is_refused(project, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    model = () if "--from-record" in arguments else (linear(tmp_path / "m.onnx"),)
    done = run("verify", project, *model, *QUICK, "--sequential", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "raw.npz").exists()


def test_one_row_of_an_undeclared_group_is_refused_though_it_comes_last(tmp_path, asked):
    for number in range(3):
        rows = people(3000)
        rows["sex"][number] = "x"
        project = write_project(tmp_path / str(number), ALL, rows)
        done = run("verify", project, linear(tmp_path / "m.onnx", FAIR), *QUICK, "--sequential")
        assert done.exit_code == 2
        assert "group 'x' of attribute 'sex' has 1 rows and the policy does not declare it" in done.stderr
    assert not asked


def people_with_subjects():
    rows = people(ROWS)
    rows["who"] = np.array([f"p{number}" for number in np.random.default_rng(0).integers(0, 5000, ROWS)])
    return rows


def test_subjects_are_measured_whole(tmp_path):
    config = ALL.replace("  id: id\n", "  id: id\n  subject: who\n")
    project = write_project(tmp_path / "p", config, people_with_subjects())
    model = linear(tmp_path / "m.onnx", FAIR)
    code, judged = report("verify", project, model, *QUICK, "--sequential")
    looks = looked(judged)
    assert code == 0
    assert looks["units"] == units_at(looks["taken"], looks["units_at_hand"])
    assert looks["units"] < looks["rows"] < looks["rows_at_hand"]
    done = run("verify", project, model, *QUICK, "--sequential", "--set", "policy.subject_weights=rows")
    assert done.exit_code == 2
    assert "subject_weights: people" in done.stderr


def test_an_export_may_be_judged_in_steps_and_its_bundle_is_signed_and_inspected(project, tmp_path):
    code, judged = report("export", project, linear(tmp_path / "m.onnx"), "-o", tmp_path / "b", *QUICK, "--sequential")
    assert code == 0
    written = json.loads((tmp_path / "b/report.json").read_text())
    assert written["targets"][0]["looks"] == looked(judged)
    assert looked(judged)["rows"] < ROWS
