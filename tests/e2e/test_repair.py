"""Compression controlled by the gates: what fails without repair ships with it, and nothing is decided twice."""

import json

import pytest

import edgefair
from edgefair.bundle.manifest import open_bundle
from edgefair.compress.low_precision import LOW_PRECISIONS
from edgefair.config import load_config
from edgefair.progress import Progress
from edgefair.workflow.compression.repair import moves_of
from tests.e2e.commands import edit, run

COARSE = """\
name: coarse
rows: 512
balance: group-label
weights: per-tensor
weight_bits: 4
method: percentile
percentile: 40
"""


def export(project, *flags):
    return run("export", "-c", project / "edgefair.yaml", "--int8", "static", "--no-latency", *flags)


@pytest.fixture
def coarse(project):
    """A project whose INT8 has 4-bit weights and cuts most activations off, and a gate that this does not keep."""
    (project / "coarse.yaml").write_text(COARSE)
    edit(project, compress__calibration="coarse.yaml", policy__max_accuracy_drop=0.01)
    return project


def log_of(project):
    (path,) = (project / "runs/repair").glob("*/trials.jsonl")
    return path


def test_scores_that_compression_moved_are_decided_where_they_are_now(coarse):
    """Activations cut at their 75th percentile shrink scores and keep most of their order."""
    (coarse / "coarse.yaml").write_text(COARSE.replace("weight_bits: 4", "weight_bits: 8").replace("40", "75"))
    edit(coarse, compress__repair__moves=["operating-point"])
    assert export(coarse, "--no-repair").exit_code == 1
    shipped = export(coarse)
    assert shipped.exit_code == 0, shipped.output
    bundle = open_bundle(coarse / "dist/small")
    assert bundle.manifest.settings["repair"]["chosen"]["choice"]["post"] == ["threshold"]
    assert not bundle.manifest.settings["repair"]["chosen"]["choice"]["float_nodes"]


def test_what_fails_without_repair_ships_with_the_fewest_nodes_in_float(coarse):
    edit(coarse, compress__repair__moves=["float"])
    blocked = export(coarse, "--no-repair")
    assert blocked.exit_code == 1, blocked.output
    assert not (coarse / "dist/small").exists()
    shipped = export(coarse)
    assert shipped.exit_code == 0, shipped.output
    settings = open_bundle(coarse / "dist/small").manifest.settings
    floats = settings["float_nodes"]
    trials = settings["repair"]["trials"]
    assert 0 < len(floats) < 3
    assert not trials[0]["kept"]
    assert trials[0]["gates"]["local"]["accuracy_drop"] == "FAIL"
    assert trials[0]["size_bytes"] < trials[-1]["size_bytes"]
    assert not any(trial["kept"] for trial in trials if set(trial["choice"]["float_nodes"]) < set(floats))
    assert "in float: " + ", ".join(floats) in " ".join(shipped.stdout.split())


def test_a_repair_that_ends_at_the_uncompressed_model_ships_it_and_says_so(coarse):
    (coarse / "coarse.yaml").write_text(COARSE.replace("percentile: 40", "percentile: 2"))
    edit(coarse, compress__repair__moves=["float"])
    shipped = export(coarse, "--json")
    assert shipped.exit_code == 0, shipped.output
    report = json.loads(shipped.stdout)
    bundle = coarse / "dist/small"
    assert (bundle / "model.onnx").read_bytes() == (bundle / "reference/model.onnx").read_bytes()
    assert any(note.startswith("nothing was compressed") for note in report["notes"])
    assert report["targets"][0]["evidence"]["own_reference"]
    assert run("verify", "-c", coarse / "edgefair.yaml", "--no-latency").exit_code == 0


def test_another_calibration_is_taken_where_it_costs_no_time(coarse):
    edit(coarse, compress__repair__moves=["calibration", "float"], compress__repair__calibrations=["int8-balanced"])
    assert export(coarse).exit_code == 0
    settings = open_bundle(coarse / "dist/small").manifest.settings
    assert settings["calibration"]["name"] == "int8-balanced"
    assert "float_nodes" not in settings


def test_the_audit_rows_are_judged_once_however_many_trials_there_are(coarse):
    result = export(coarse, "--json")
    report = json.loads(result.stdout)
    assert len(report["settings"]["repair"]["trials"]) > 2
    assert report["ledger"] == {"verdicts": 1, "models": 1, "tries": 1, "chance": 0.05}


def test_pruning_too_much_is_repaired_by_pruning_less(project):
    edit(project, policy__max_accuracy_drop=0.005, finetune__epochs=1, finetune__learning_rate=1e-6)
    flags = ("-c", project / "edgefair.yaml", "--prune", 0.9, "--no-latency")
    assert run("export", *flags, "--no-repair").exit_code == 1
    result = run("export", *flags)
    assert result.exit_code == 0, result.output
    chosen = open_bundle(project / "dist/small").manifest.settings["repair"]["chosen"]["choice"]["prune"]
    assert 0 < chosen < 0.9


@pytest.mark.parametrize(
    ("treated", "left"),
    [([], {"last-layer", "threshold", "float"}), (["last-layer"], {"threshold", "float"}), (["threshold"], {"float"})],
)
def test_a_treatment_that_the_recipe_leaves_no_room_for_is_not_tried(project, treated, left):
    edit(
        project,
        compress__repair__moves=["float", "last-layer", "threshold"],
        debias__post=[{"method": name} for name in treated],
    )
    config = load_config(project / "edgefair.yaml")
    assert moves_of(config, LOW_PRECISIONS["static"], corrects_bias=True, refits=True).allowed == left


@pytest.mark.parametrize("name", [*LOW_PRECISIONS, None])
def test_a_move_that_the_low_precision_does_not_know_is_not_tried(project, name):
    config = load_config(project / "edgefair.yaml")
    kind = None if name is None else LOW_PRECISIONS[name]
    known = {"static": {"seven-bit", "bias", "calibration"}, "a16w8": {"bias", "calibration"}}.get(name, set())
    assert moves_of(config, kind, corrects_bias=True, refits=True).allowed == known | {
        "float",
        "prune",
        "operating-point",
    }
    assert moves_of(config, kind, corrects_bias=True, refits=False).allowed == known | {"float", "prune"}


def test_a_dense_model_that_keeps_no_gate_is_not_tried_to_be_repaired(trained):
    project = trained / "unfair"
    result = export(project, "-o", trained / "nothing", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["settings"]["repair"]
    assert len(found["trials"]) == 1
    assert "stronger debiasing" in found["ended"]


def test_trials_of_another_profile_or_calibration_are_not_taken_for_those_of_this_one(coarse):
    target = coarse / "board.yaml"
    target.write_text("name: board\ntransport: local\n")
    edit(coarse, targets=[str(target)], compress__repair__max_trials=1)
    logs = coarse / "runs/repair"
    assert export(coarse).exit_code == 1
    target.write_text("name: board\ntransport: local\noptimization: basic\n")
    assert export(coarse).exit_code == 1
    assert len(list(logs.iterdir())) == 2
    (coarse / "coarse.yaml").write_text(COARSE.replace("weight_bits: 4", "weight_bits: 8").replace("40", "99.9"))
    assert export(coarse).exit_code == 0
    assert len(list(logs.iterdir())) == 3


class StopError(Exception):
    pass


def test_a_search_that_was_stopped_goes_on_and_ends_with_the_same_file(coarse, tmp_path):
    config = load_config(coarse / "edgefair.yaml")

    def stop_in_the_third_trial(_done, _total, what):
        if what.startswith("trial 3"):
            raise StopError

    with pytest.raises(StopError):
        edgefair.export(
            config, int8="static", latency=False, output=tmp_path / "a", progress=Progress(stop_in_the_third_trial)
        )
    assert not (tmp_path / "a").exists()
    before = log_of(coarse).read_text()
    assert before.count("\n") == 2
    with log_of(coarse).open("a") as stream:
        stream.write('{"key": "cut off')
    seen = []
    edgefair.export(
        config, int8="static", latency=False, output=tmp_path / "a", progress=Progress(lambda *now: seen.append(now[2]))
    )
    assert not any(what.startswith(("trial 1:", "trial 2:")) for what in seen)
    log_of(coarse).unlink()
    edgefair.export(config, int8="static", latency=False, output=tmp_path / "b")
    assert (tmp_path / "a/model.onnx").read_bytes() == (tmp_path / "b/model.onnx").read_bytes()
