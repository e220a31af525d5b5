"""A search that is killed goes on where it stopped: what its log holds is not measured again."""

import json
from dataclasses import replace

import pytest

from edgefair.compress.search.choice import Choice
from edgefair.targets import load_profile
from edgefair.workflow.compression.trials import ValidationBench
from tests.workflow.small_project import candidates_of

RECIPE = Choice(None, "int8-balanced")
BIAS = Choice(None, "int8-balanced", correct_bias=True)


@pytest.fixture(scope="module")
def candidates(tmp_path_factory):
    return candidates_of(tmp_path_factory.mktemp("trials"), compress={"int8": "static"}, targets=["local"])


def bench(candidates, folder):
    return ValidationBench(candidates, folder / "log/trials.jsonl", folder, recipe=RECIPE)


def test_a_logged_trial_is_read_and_equal_and_a_torn_line_is_measured_again(candidates, tmp_path):
    first = bench(candidates, tmp_path)
    trials = [first.judge(choice) for choice in (RECIPE, BIAS)]
    log = tmp_path / "log/trials.jsonl"
    whole = log.read_bytes()
    assert first.judge(RECIPE) == trials[0]
    assert log.read_bytes() == whole
    assert all(0 < trial.gap < 1 and trial.size_bytes > 0 and trial.p90_ms is None for trial in trials)

    old = [json.loads(line) for line in whole.splitlines()]
    for entry in old:
        for key in ("gap", "p90_ms", "size_bytes"):
            del entry["trial"][key]
    log.write_text("".join(json.dumps(entry) + "\n" for entry in old))
    assert bench(candidates, tmp_path).judge(RECIPE) == replace(trials[0], gap=None, size_bytes=None)
    log.write_bytes(whole)

    (tmp_path / "trial.onnx").unlink()
    again = bench(candidates, tmp_path)
    assert [again.judge(choice) for choice in (RECIPE, BIAS)] == trials
    assert not (tmp_path / "trial.onnx").exists(), "nothing was made"

    log.write_bytes(whole[:-10])
    torn = bench(candidates, tmp_path)
    assert torn.judge(RECIPE) == trials[0]
    assert not (tmp_path / "trial.onnx").exists()
    assert torn.judge(BIAS) == trials[1]
    assert (tmp_path / "trial.onnx").exists()
    assert [bench(candidates, tmp_path).judge(choice) for choice in (RECIPE, BIAS)] == trials


def test_a_trial_of_another_device_is_none(candidates, tmp_path):
    bench(candidates, tmp_path).judge(RECIPE)
    log = tmp_path / "log/trials.jsonl"
    entry = json.loads(log.read_text())
    log.write_text(json.dumps(entry | {"key": "0" * 64}) + "\n")
    bench(candidates, tmp_path).judge(RECIPE)
    assert [json.loads(line)["trial"] for line in log.read_text().splitlines()] == [entry["trial"]] * 2


def test_what_no_processor_changes_is_not_the_devices_identity():
    device = {"machine": "x86_64", "onnxruntime": "1.30", "temperature_c": 40, "cores": 8}
    identity = load_profile("local").host_runtime.identity_of
    assert identity(device) == identity(device | {"temperature_c": 90})
    assert identity(device) != identity(device | {"onnxruntime": "1.31"})
    engine = {"tensorrt": "10.9", "device": "Orin", "seconds": 3.0}
    identity = load_profile("tensorrt").host_runtime.identity_of
    assert identity(device | {"engine": engine}) == identity(device | {"engine": engine | {"seconds": 9.0}})
    assert identity(device | {"engine": engine}) != identity(device | {"engine": engine | {"tensorrt": "11"}})


def test_a_layer_in_float_costs_what_four_in_int8_do(candidates, tmp_path):
    found = bench(candidates, tmp_path)
    (node,) = candidates.graphs.nodes(None)
    assert found.cost(Choice(None, "int8-balanced", float_nodes=(node,))) == 4 * found.cost(RECIPE)
