"""Every step of a recipe as one job, and recipes that contradict themselves."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from edgefair.bundle.manifest import open_bundle
from edgefair.compress.steps.pruning.step import Prune
from edgefair.config import load_config, with_compress
from edgefair.files import sha256_file
from edgefair.training.run import load_run
from edgefair.workflow.compression.steps import stages
from tests.e2e.commands import CONFIG, change, edit, refused, run, write_people


def export(project, *flags, code=0):
    result = run("export", "-c", project / "edgefair.yaml", "--no-latency", *flags)
    assert result.exit_code == code, result.output
    return " ".join(result.stdout.split())


def shipped(project):
    bundle = open_bundle(project / "dist/small")
    return onnx.load_model(bundle.model), bundle.manifest.settings


def operators(model):
    return [node.op_type for node in model.graph.node]


def test_low_rank_splits_layers_and_saves_operations(project):
    said = export(project, "--low-rank", 0.3)
    model, settings = shipped(project)
    before, after = settings["low-rank"]["plan"]["macs"]
    assert after < before
    assert settings["low-rank"]["threads"] == torch.get_num_threads()
    assert "split into thinner ones" in said
    assert operators(model).count("Gemm") > 3


def test_sparse_weights_stay_zeros_through_a_debiased_fine_tune_and_are_said_to_bring_no_speed(project):
    edit(project, debias__finetune=["eo-penalty"])
    said = export(project, "--sparsity", 0.5, "--scope", "global", "--no-repair")
    assert "sparsity 50%" in said
    assert "zeros, but no fewer operations and no speed-up; trained with eo-penalty" in said
    model, settings = shipped(project)
    weights = [onnx.numpy_helper.to_array(item) for item in model.graph.initializer if len(item.dims) == 2]
    plan = settings["sparsity"]["plan"]
    assert (plan["scope"], plan["zeros"]) == ("global", round(plan["weights"] / 2))
    assert sum(int((value == 0).sum()) for value in weights) == plan["zeros"]
    report = json.loads((project / "dist/small/report.json").read_text())
    assert any("no speed" in note for note in report["notes"])
    assert model.ByteSize() > 0.95 * (project / "dist/small/reference/model.onnx").stat().st_size


def test_options_of_an_importance_and_of_a_rank_reach_the_steps(project):
    export(project, "--prune", 0.4, "--importance", "fairprune", "--beta", 0.2, "--round-to", 1, "--no-repair")
    done = shipped(project)[1]["prune"]
    assert (done["beta"], done["round_to"]) == (0.2, 1)
    assert any(kept % 8 for kept, _ in done["plan"]["kept"].values())
    config = load_config(project / "edgefair.yaml")
    for option, value in (("energy", 0.5), ("tolerance", 0.3)):
        rank = "energy" if option == "energy" else "worst-group"
        (stage,) = stages(config, with_compress(config, low_rank=rank, **{option: value}).compress)
        assert stage.settings[option] == value
        assert getattr(stage.step, option) == value


def test_a_fair_sub_network_of_random_weights_is_found_without_training_any(tmp_path, monkeypatch):
    """Ten of its 300 steps show that it runs; what it is worth is in the docs."""
    monkeypatch.chdir(tmp_path)
    assert run("init", "--data", "glyphs").exit_code == 0
    glyphs = {"rows": 400, "audit_rows": 80, "size": 16, "contrast": 1.0, "share": 0.5, "texture": 0.0}
    edit(
        tmp_path,
        data__glyphs=glyphs,
        model__network="fer-cnn",
        model__options={"width": 0.125},
        model__picture={"height": 16, "width": 16, "channels": 1},
        train__epochs=1,
        compress={"prune": 0.4, "importance": "adversarial-frozen", "adversary": {"steps": 10}},
        policy__max_eo_gap=0.9,
        policy__min_balanced_accuracy=None,
        policy__max_accuracy_drop=None,
    )
    assert run("train", "--name", "plain").exit_code == 0
    done = run("export", "--no-repair", "--no-latency", "--json")
    assert done.exit_code in {0, 1, 3}, done.output
    (note,) = [item for item in json.loads(done.stdout)["notes"] if "adversarial-frozen" in item]
    assert note.startswith("the network with random weights pruned locally by adversarial-frozen to ")
    assert note.endswith("no weight was trained")
    (folder,) = (tmp_path / "runs/plain").glob("prune-*")
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["after"]["macs"] <= 0.6 * plan["before"]["macs"]
    assert channels_are_a_subset_of_the_random_ones(folder, plan)


def channels_are_a_subset_of_the_random_ones(folder, plan):
    """Whether every weight of the result is one of the untrained network, whose seed is 0."""
    from safetensors.torch import load_file

    from edgefair.training.build import build_classifier
    from edgefair.training.run import load_run

    run_before = load_run(folder.parent)
    untrained = build_classifier(run_before.spec, run_before.model, run_before.array_shapes, seed=0)
    Prune(0.4).apply(untrained, plan)
    left = load_file(folder / "model.safetensors")
    return all(value.equal(left[name]) for name, value in untrained.named_parameters())


NETWORK = """
from torch import nn

class Fixed(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(features, 32), nn.Linear(32, 24), nn.Linear(24, 2)

    def forward(self, x):
        return self.last(self.second(self.first(x).relu()).relu().view(-1, 24))

def make(features, classes):
    return Fixed(features[0])
"""


def test_a_layer_that_cannot_lose_channels_is_named_in_the_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fixed_view.py").write_text(NETWORK)
    write_people(tmp_path)
    (tmp_path / "edgefair.yaml").write_text(CONFIG.format(label="fair", other="unfair"))
    edit(tmp_path, model={"network": "fixed_view:make"})
    trained = run("train", "--name", "plain")
    assert trained.exit_code == 0, trained.output
    assert "pruning skipped" in export(tmp_path, "--prune", 0.3)
    notes = json.loads((tmp_path / "dist/small/report.json").read_text())["notes"]
    (note,) = [item for item in notes if "pruning skipped" in item]
    assert note.endswith("expects all of their channels: second")
    assert "second must keep all channels" in refused(tmp_path, "export", "--prune", 0.95)


def test_clustered_weights_have_so_many_values(project):
    export(project, "--cluster", 8)
    model, settings = shipped(project)
    weights = [onnx.numpy_helper.to_array(item) for item in model.graph.initializer]
    assert sum(value.ndim == 2 and len(np.unique(value)) <= 8 for value in weights) >= 2
    layer = next(iter(settings["cluster"]["plan"]["layers"].values()))
    assert layer["bytes"]["entropy"] < layer["bytes"]["float"] / 4


def test_a_student_of_half_the_width_and_a_pruned_network_are_taught(project):
    said = export(project, "--distill", "plain", "--student", 0.5)
    assert "a student was trained; trained with no debiasing, taught by plain" in said
    model, settings = shipped(project)
    assert settings["student"]["distill"]["teacher"] == "plain"
    assert settings["student"]["teacher"] == sha256_file(load_run(project / "runs/plain").weights)
    assert 64 in {dim for item in model.graph.initializer for dim in item.dims}
    assert 128 not in {dim for item in model.graph.initializer for dim in item.dims}
    assert "taught by plain" in export(project, "--distill", "plain", "--prune", 0.5)


def test_a_network_pruned_by_the_latency_of_one_target_is_not_taken_for_that_of_another(project):
    config = load_config(project / "edgefair.yaml", {"targets": ["local", "raspberry-pi-5"]})
    other = config.model_copy(update={"targets": config.targets[::-1]})
    for measure, same in (("macs", True), ("latency", False)):
        compress = with_compress(config, prune=0.5, measure=measure).compress
        (here,), (there,) = (tuple(stages(item, compress)) for item in (config, other))
        assert (here.settings == there.settings) == same


def test_quantization_aware_training_gives_the_file_the_ranges_that_it_learned(project):
    export(project, "--int8", "static")
    plain, _ = shipped(project)
    export(project, "--qat", "--int8", "static")
    trained, settings = shipped(project)
    assert settings["qat"]["kept_epoch"] >= 1
    assert "QuantizeLinear" in operators(trained)
    assert trained.SerializeToString() != plain.SerializeToString()


def test_pruning_in_rounds_ends_at_the_ratio_of_the_original(project):
    said = export(project, "--prune", 0.6, "--rounds", 2, "--importance", "fairgrape")
    _, settings = shipped(project)
    before, after = settings["prune"]["macs"]
    assert after <= 0.4 * before * 1.001
    assert said.count("pruned locally by fairgrape") == 1


def test_half_precision_halves_the_file(project):
    export(project, "--fp16")
    model, settings = shipped(project)
    assert settings["fp16"]
    assert {item.key for item in model.metadata_props} == {"edgefair.spec"}
    reference = (project / "dist/small/reference/model.onnx").stat().st_size
    assert model.ByteSize() < 0.6 * reference


@pytest.mark.parametrize("flags", [["--int8"], ["--prune", 0.5, "--low-rank", 0.5, "--qat", "--int8", "static"]])
def test_compressing_twice_gives_the_same_bytes(project, tmp_path, exported_anew, flags):
    files = []
    for name in ("a", "b"):
        for folder in (project / "runs/plain").iterdir():
            if folder.is_dir():
                for path in folder.iterdir():
                    path.unlink()
        export(project, *flags, "-o", tmp_path / name)
        files.append((tmp_path / name / "model.onnx").read_bytes())
    assert files[0] == files[1]


def test_the_model_may_follow_a_bare_int8(project, tmp_path):
    export(project, "--fp16", "-o", tmp_path / "half")
    export(project, "--int8", tmp_path / "half/reference/model.onnx")
    assert "QuantizeLinear" in operators(shipped(project)[0])


def test_a_file_that_is_quantized_already_can_be_treated_and_nothing_else(project, tmp_path):
    export(project, "--int8", "-o", tmp_path / "int8")
    edit(project, data__validation=0.3, policy__min_balanced_accuracy=0.6)
    export(project, tmp_path / "int8/model.onnx", "--post", "threshold")
    assert "QuantizeLinear" in operators(shipped(project)[0])
    assert "already quantized" in refused(project, "export", tmp_path / "int8/model.onnx", "--int8")


def test_recipes_that_contradict_themselves_are_refused_before_anything_is_trained(project):
    assert "a weight has one type" in refused(project, "export", "--fp16", "--int8")
    assert "add int8: static" in refused(project, "export", "--qat")
    assert "steps of pruning" in refused(project, "export", "--rounds", 3)
    assert "has no student" in refused(project, "export", "--distill", "plain")
    assert "contradict each other" in refused(project, "export", "--cluster", 8, "--qat", "--int8", "static")
    assert "at most" in refused(project, "export", "--prune", 0.999)
    assert "nosuch" in refused(project, "export", "--distill", "nosuch", "--student", 0.5)
    assert "unknown calibration recipe" in refused(project, "export", "--int8", "--calibration", "int8-balancd")
    assert "sparsity and cluster contradict" in refused(project, "export", "--sparsity", 0.5, "--cluster", 8)
    assert "sparsity and qat" in refused(project, "export", "--sparsity", 0.5, "--qat", "--int8", "static")
    assert "would set every weight of" in refused(project, "export", "--sparsity", 0.9999)
    assert "beta needs" in refused(project, "export", "--prune", 0.5, "--beta", 0.2)
    assert "energy needs" in refused(project, "export", "--low-rank", 0.5, "--energy", 0.5)
    assert "tolerance needs" in refused(project, "export", "--low-rank", "energy", "--tolerance", 0.1)
    for flag, value in (
        ("--importance", "taylor"),
        ("--round-to", 8),
        ("--measure", "parameters"),
        ("--scope", "global"),
    ):
        assert f"{flag[2:].replace('-', '_')} needs `prune`" in refused(project, "export", "--int8", flag, value)
    frozen = ["--prune", 0.5, "--importance", "adversarial-frozen"]
    for flags in (["--cluster", 8], ["--low-rank", 0.5], ["--sparsity", 0.5], ["--rounds", 2], ["--distill", "plain"]):
        assert "leaves random weights untrained" in refused(project, "export", *frozen, *flags)
    for saves_nothing in ([0.999], ["energy", "--energy", 1]):
        assert "factoring makes no layer cheaper" in refused(project, "export", "--low-rank", *saves_nothing)
    assert "did you mean 'plain'" in refused(project, "export", "--distill", "plian", "--student", 0.5)
    assert "--distill RUN" in refused(project, "export", "--student", 0.5)
    assert "compress.rounds" in refused(project, "export", "--prune", 0.5, "--set", "compress.rounds=21")
    twice = refused(project, "export", "--int8", "--post", "threshold", "--post", "threshold")
    assert "lists a method twice: threshold, threshold" in twice
    assert not list((project / "runs/plain").glob("*-*"))


def test_low_rank_that_saves_nothing_after_pruning_leaves_no_folder(project):
    done = run("export", "-c", project / "edgefair.yaml", "--prune", 0.3, "--low-rank", 0.999, "--no-repair")
    assert done.exit_code == 2
    assert "factoring makes no layer cheaper" in done.stderr
    (pruned,) = (project / "runs/plain").glob("*-*")
    assert pruned.name.startswith("prune-")


def test_more_rounds_of_pruning_than_help_are_a_usage_error(project):
    done = run("export", "-c", project / "edgefair.yaml", "--prune", 0.5, "--rounds", 21)
    assert done.exit_code == 2
    assert "'--rounds'" in done.stderr


def test_calibration_that_the_training_rows_cannot_serve_is_refused_before_anything_is_pruned(project):
    def without_successful_women(table):
        gone = (table["sex"] == "F") & (table["fair"] == "yes") & (table["part"] == "train")
        return np.where(gone, "left out", table["part"])

    change(project, part=without_successful_women)
    edit(project, data__split__unused=["left out"])
    said = refused(project, "export", "--prune", 0.5, "--int8", "static")
    assert "no training row of group '" in said
    assert not list((project / "runs/plain").glob("*-*"))


@pytest.mark.parametrize(
    ("key", "value"),
    [("energy", 0), ("energy", 1.1), ("tolerance", 0), ("beta", 0), ("round_to", 0), ("sparsity", 1), ("sparsity", 0)],
)
def test_a_number_out_of_range_is_refused(project, key, value):
    assert f"compress.{key}" in refused(project, "export", "--set", f"compress.{key}={value}")
    flag = f"--{key.replace('_', '-')}"
    done = run("export", flag, value, "-c", project / "edgefair.yaml")
    assert done.exit_code == 2
    assert flag in done.stderr


@pytest.mark.parametrize("key", ["tolerance", "beta", "distill.temperature", "distill.mfd_weight"])
def test_a_number_that_is_not_finite_is_refused(project, key):
    known = ["--set", "compress.distill.teacher=plain"] if key.startswith("distill") else []
    assert f"compress.{key}" in refused(project, "export", *known, "--set", f"compress.{key}=.inf")


@pytest.mark.parametrize("width", ["0", "-1", "nan", "inf", "1.5"])
def test_a_students_width_that_is_no_share_is_refused(project, width):
    assert "a share of the run's" in refused(project, "export", "--distill", "plain", "--student", width)


@pytest.mark.parametrize("rank", ["0", "1", "nan", "Energy"])
def test_a_rank_that_is_neither_a_share_nor_a_rule_is_refused(project, rank):
    said = refused(project, "export", "--low-rank", rank)
    assert "compress.low_rank: a share between 0 and 1, energy or worst-group" in said


def test_what_a_frozen_network_and_a_latency_need_is_asked_before_anything_is_trained(project):
    edit(project, debias__finetune=["reweigh"])
    said = refused(project, "export", "--prune", 0.5, "--importance", "adversarial-frozen")
    assert "there is no fine-tune" in said
    edit(project, debias__finetune=None, targets=["qemu-haswell", "local"])
    said = refused(project, "export", "--prune", 0.5, "--measure", "latency", "--distill", "plain", "--student", 0.5)
    assert "does not measure latency" in said
    assert not list((project / "runs/plain").glob("*-*"))


def branching(model):
    parts = [
        helper.make_graph(
            [helper.make_node("Identity", [model.graph.output[0].name], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.INT64, None)],
        )
        for name in ("yes", "no")
    ]
    model.graph.initializer.append(helper.make_tensor("always", TensorProto.BOOL, [], [True]))
    model.graph.node.append(helper.make_node("If", ["always"], ["z"], "if", then_branch=parts[0], else_branch=parts[1]))


def custom(model):
    model.opset_import.append(helper.make_opsetid("my.domain", 1))
    model.graph.node.append(helper.make_node("Mine", [model.graph.output[0].name], ["z"], "mine", domain="my.domain"))


def mixed(model):
    model.opset_import.append(helper.make_opsetid("ai.onnx", 13))


@pytest.mark.parametrize(
    ("change", "said"),
    [(branching, "has control flow"), (custom, "my.domain"), (mixed, "mixes the opsets")],
)
def test_a_graph_that_cannot_be_compressed_is_refused_up_front(project, tmp_path, change, said):
    export(project, "--fp16", "-o", tmp_path / "half")
    model = onnx.load_model(tmp_path / "half/reference/model.onnx")
    change(model)
    onnx.save_model(model, tmp_path / "changed.onnx")
    for flag in ("--int8", "--fp16"):
        assert said in refused(project, "export", tmp_path / "changed.onnx", flag), flag
    assert "the result needs more training" in refused(project, "export", tmp_path / "changed.onnx", "--prune", 0.5)


def test_a_teacher_with_other_classes_is_refused(project):
    edit(project, data__classes=["yes", "no"], data__positive=None)
    assert run("train", "-c", project / "edgefair.yaml", "--name", "other").exit_code == 0
    edit(project, data__classes=None, data__positive="yes")
    said = refused(project, "export", "--run", "plain", "--distill", "other", "--student", 0.5)
    assert "the teacher's classes are yes, no" in said
