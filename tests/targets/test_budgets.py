"""What a model may cost on one device: gates of that device's verdict beside the policy's."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from edgefair.cli import main
from edgefair.decision.decide import decide
from edgefair.decision.evidence import Evidence
from edgefair.decision.policy import Policy
from edgefair.errors import UsageError
from edgefair.measure.counts import GroupCounts
from edgefair.measure.latency import summarize
from edgefair.probe.bundles.gates import LATENCY, SIZE
from edgefair.resources import shipped_names
from edgefair.targets import load_profile, transport_of
from edgefair.targets.sections import Budgets
from tests.targets.people import gate, report, run, write_project

QUICK = "transport: local\nlatency: {warmup: 1, min_queries: 100, min_seconds: 0}\n"
NEVER = "{max_latency_p90_ms: 0.000001}"


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path)


def board(project, budgets, *, name="board", rest=QUICK):
    path = project / f"{name}.yaml"
    path.write_text(f"name: {name}\n{rest}budgets: {budgets}\n")
    return path


# The decision ---------------------------------------------------------------------------------------------------------

TABLE = np.full((2, 2, 2), 0) + np.eye(2, dtype=np.int64) * 1000
EVIDENCE = Evidence(
    GroupCounts(("sex",), (("F",), ("M",)), ("no", "yes"), TABLE),
    latency=summarize(np.full(200, 10_000_000), level=0.05),
    size_bytes=5000,
)


def judged(name, own, budget):
    """The gate of a model of 10 ms and 5,000 bytes under a policy and a budget of these keys."""
    policy = Policy.model_validate({"attributes": {"sex": {"groups": ["F", "M"]}}, **own})
    verdict = decide(EVIDENCE, policy, budget=Budgets.model_validate(budget))
    assert verdict.policy_digest == policy.digest
    return verdict.gate(name)


@pytest.mark.parametrize(
    ("name", "key", "less", "more", "found"),
    [
        (LATENCY, "max_latency_p90_ms", 9.5, 20, "200 queries (as many as 200 independent), batch 1"),
        (SIZE, "max_size_bytes", 4000, 6000, "5,000 bytes of "),
    ],
)
def test_the_stricter_of_policy_and_budget_decides_and_says_whose_it_is(name, key, less, more, found):
    for own, budget, limit, outcome, whose in (
        ({}, {key: less}, less, "FAIL", "the threshold is the target's budget"),
        ({}, {key: more}, more, "PASS", "the threshold is the target's budget"),
        ({key: more}, {key: less}, less, "FAIL", "the target's budget, stricter than the policy's "),
        ({key: less}, {key: more}, less, "FAIL", "the policy's, within the target's budget of "),
        ({key: more}, {key: more}, more, "PASS", "the policy's, within the target's budget of "),
    ):
        gate = judged(name, own, budget)
        assert (gate.threshold, gate.outcome) == (limit, outcome)
        assert found in gate.reason
        assert whose in gate.reason


def test_a_target_without_a_budget_has_the_policys_gates_alone_and_their_words():
    assert judged(SIZE, {"max_size_bytes": 6000}, {}).reason == "5,000 bytes of 6,000"
    with pytest.raises(KeyError):
        judged(LATENCY, {"max_size_bytes": 6000}, {"max_size_bytes": 6000})


def test_a_latency_equal_to_the_budget_passes():
    assert judged(LATENCY, {}, {"max_latency_p90_ms": 10}).outcome == "PASS"


# Whole commands -------------------------------------------------------------------------------------------------------


def test_a_budget_blocks_on_its_own_target_only_and_the_worst_target_is_the_release(project):
    free = board(project, "{}", name="free")
    tight = board(project, "{max_size_bytes: 10}")
    code, found = report("verify", project, project / "model.onnx", "--target", free, "--target", tight, "--no-latency")
    assert (code, found["outcome"]) == (1, "FAIL")
    assert [item["verdict"]["outcome"] for item in found["targets"]] == ["PASS", "FAIL"]
    assert [item["budgets"] for item in found["targets"]] == [{}, {"max_size_bytes": 10}]
    assert found["policy"]["max_size_bytes"] is None, "the policy is the project's own"
    assert gate(found, SIZE, 1)["threshold"] == 10


def test_the_terminal_shows_the_budget_and_its_source(project, quiet_device):
    done = run("verify", project, project / "model.onnx", "--target", board(project, NEVER), "--max-latency-p90", 1000)
    text = " ".join(done.stdout.split())
    assert done.exit_code == 1
    assert "FAIL latency p90" in text
    assert "the threshold is the target's budget, stricter than the policy's 1,000.0 ms" in text


def test_a_loose_budget_lifts_no_gate_of_the_policy(project):
    loose = board(project, "{max_size_bytes: 1000000}")
    code, found = report("verify", project, project / "model.onnx", "--target", loose, "--max-size", 10, "--no-latency")
    assert code == 1
    assert gate(found, SIZE)["threshold"] == 10


def test_a_latency_budget_that_is_not_measured_is_inconclusive_with_the_reason(project):
    path = board(project, "{max_latency_p90_ms: 1000}")
    code, found = report("verify", project, project / "model.onnx", "--target", path, "--no-latency")
    assert (code, gate(found, LATENCY)["outcome"]) == (3, "INCONCLUSIVE")
    assert "skipped (--no-latency)" in gate(found, LATENCY)["reason"]


@pytest.mark.target
def test_a_latency_budget_of_an_emulated_device_is_inconclusive_because_it_is_emulated(project):
    emulated = "transport: qemu\ncpu: haswell\nlatency: {measured: false}\n"
    path = board(project, "{max_latency_p90_ms: 1000}", rest=emulated)
    lacks = transport_of(load_profile(str(path))).lacks()
    if lacks is not None:
        pytest.skip(lacks)
    code, found = report("verify", project, project / "model.onnx", "--target", path)
    latency = gate(found, LATENCY)
    assert (code, latency["outcome"], latency["threshold"]) == (3, "INCONCLUSIVE", 1000)
    assert "target 'board' is emulated" in latency["reason"]
    assert "the threshold is the target's budget" in latency["reason"]


def test_a_record_keeps_the_budgets_and_is_judged_alike_without_the_profile(project, quiet_device):
    path, record = board(project, NEVER), project / "raw.npz"
    code, measured = report("verify", project, project / "model.onnx", "--target", path, "--record", record)
    assert code == 1
    path.unlink()
    again, judged_again = report("verify", project, "--from-record", record)
    assert again == 1
    for item in (measured, judged_again):
        item["targets"][0].pop("timings_s")
    assert judged_again["targets"] == measured["targets"]
    assert gate(judged_again, LATENCY)["threshold"] == 0.000001


def test_a_record_whose_budgets_cannot_be_is_no_record(project):
    record = project / "raw.npz"
    run("verify", project, project / "model.onnx", "--record", record, "--no-latency")
    with np.load(record) as content:
        arrays = {name: content[name] for name in content.files}
    for budgets in ({"max_size_bytes": 0}, {"max_size": 5}, None):
        facts = json.loads(str(arrays["facts"]))
        facts["targets"][0]["budgets"] = budgets
        np.savez(record, **(arrays | {"facts": np.array(json.dumps(facts))}))
        done = run("verify", project, "--from-record", record)
        assert done.exit_code == 2
        assert "is not a record" in done.stderr


def test_the_repair_judges_its_trials_by_the_budget(project, quiet_device):
    path = board(project, "{max_latency_p90_ms: 0.000001, max_size_bytes: 10}")
    code, found = report(
        "export",
        project,
        project / "model.onnx",
        "--int8",
        "static",
        "--target",
        path,
        "--set",
        "compress.repair.max_trials=2",
    )
    assert code == 1
    trials = found["settings"]["repair"]["trials"]
    assert trials
    assert not any(trial["kept"] for trial in trials)
    assert all(trial["gates"]["board"][name] == "FAIL" for trial in trials for name in (LATENCY, SIZE))


# Profiles -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ("{max_latency_p90: 5}", r"unknown key 'budgets.max_latency_p90' \(did you mean 'max_latency_p90_ms'\?\)"),
        ("{max_latency_p90_ms: 0}", r"budgets.max_latency_p90_ms: .*greater than 0 \(found 0\)"),
        ("{max_latency_p90_ms: -1}", r"budgets.max_latency_p90_ms: .*greater than 0 \(found -1\)"),
        ("{max_latency_p90_ms: .inf}", r"not a finite number"),
        ("{max_size_bytes: 0}", r"budgets.max_size_bytes: .*greater than or equal to 1 \(found 0\)"),
        ("{max_size_bytes: 1.5}", r"budgets.max_size_bytes: .*integer"),
        ("5", r"budgets: .*dictionary"),
    ],
)
def test_a_budget_that_cannot_be_is_a_usage_error(project, budgets, message):
    with pytest.raises(UsageError, match=message):
        load_profile(str(board(project, budgets)))
    done = run("verify", project, project / "model.onnx", "--target", board(project, budgets))
    assert done.exit_code == 2


def test_no_shipped_profile_has_a_budget_that_nobody_asked_for():
    assert all(load_profile(name).budgets == Budgets() for name in shipped_names("deploy/targets"))


def test_the_list_of_targets_shows_the_budgets(project):
    path = board(project, "{max_latency_p90_ms: 20, max_size_bytes: 5000000}")
    text = CliRunner().invoke(main, ["target", "list", str(path)]).stdout
    assert "board" in text
    assert "p90 20.0 ms, 5,000,000 bytes" in " ".join(text.split())
    (item,) = json.loads(CliRunner().invoke(main, ["target", "list", str(path), "--json"]).stdout)["targets"]
    asked = {name: value for name, value in item["budgets"].items() if value is not None}
    assert asked == {"max_latency_p90_ms": 20.0, "max_size_bytes": 5000000}
    assert CliRunner().invoke(main, ["target", "list", "nowhere"]).exit_code == 2


def test_a_profiles_budget_goes_with_it_to_another_address(project):
    path = board(project, "{max_size_bytes: 10}")
    assert load_profile(f"{path}=ssh://pi@kitchen").budgets == Budgets(max_size_bytes=10)
