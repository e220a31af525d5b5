"""A second sensitive column that carries the gap: it is judged, or every command that judges says that it is not."""

import json

import numpy as np
from click.testing import CliRunner

from edgefair.cli import main
from tests.attacks.judged import CONFIG, linear, people, spec, write_project


def run(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments], catch_exceptions=False)


def two_columns():
    """Rows whose label a model reads off `a`, for people of race p; for those of race q, `a` says nothing."""
    columns = people()
    rng = np.random.default_rng(1)
    race = rng.choice(["p", "q"], len(columns["id"]))
    columns["a"] = np.where(race == "q", rng.normal(0, 1, len(race)), columns["a"]).astype(np.float32)
    return columns | {"race": race}


def test_init_judges_every_sensitive_column_and_the_gap_of_the_second_one_blocks(tmp_path, monkeypatch):
    monkeypatch.chdir(write_project(tmp_path, rows=two_columns()))
    linear(tmp_path / "m.onnx", said=spec())
    flags = ("--data", "people.parquet", "--label", "label", "--positive", "yes", "--id", "id")
    assert run("init", *flags, "--sensitive", "sex", "--sensitive", "race", "--force").exit_code == 0
    wide = ("--set", "policy.max_accuracy_drop=null", "--set", "policy.min_balanced_accuracy=0.0", "--no-latency")
    judged = run("verify", "m.onnx", *wide, "--json")
    report = json.loads(judged.stdout)
    assert [item["attribute"] for item in report["targets"][0]["verdict"]["attributes"]] == ["sex", "race"]
    assert judged.exit_code == 1, judged.output
    assert not any("NOT JUDGED" in note for note in report["notes"])


def test_a_sensitive_column_that_the_policy_leaves_out_is_named_by_plan_report_and_record(tmp_path, monkeypatch):
    both = CONFIG.replace("sensitive: [sex]", "sensitive: [sex, race]")
    monkeypatch.chdir(write_project(tmp_path, both, two_columns()))
    linear(tmp_path / "m.onnx", said=spec())
    said = "NOT JUDGED: sensitive column 'race'"
    assert said in run("plan", "--simulations", "50").output
    assert json.loads(run("plan", "--simulations", "50", "--json").stdout)["not_judged"] == ["race"]
    judged = run("verify", "m.onnx", "--no-latency", "--record", "r.npz")
    assert judged.exit_code == 0, judged.output
    assert said in judged.output
    assert said in run("verify", "--from-record", "r.npz").output
    assert said in run("compare", "r.npz", "r.npz").output
