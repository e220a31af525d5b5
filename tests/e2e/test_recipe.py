"""Every step of a recipe as one job, and recipes that contradict themselves."""

import numpy as np
import onnx
import pytest
from commands import edit, refused, run

from edgefair.bundle.manifest import open_bundle


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
    assert "split into thinner ones" in said
    assert operators(model).count("Gemm") > 3


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
    assert 64 in {dim for item in model.graph.initializer for dim in item.dims}
    assert 128 not in {dim for item in model.graph.initializer for dim in item.dims}
    assert "taught by plain" in export(project, "--distill", "plain", "--prune", 0.5)


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
def test_compressing_twice_gives_the_same_bytes(project, tmp_path, flags):
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
    assert "quantized already" in refused(project, "export", tmp_path / "int8/model.onnx", "--int8")


def test_recipes_that_contradict_themselves_are_refused_before_anything_is_trained(project):
    assert "a weight has one type" in refused(project, "export", "--fp16", "--int8")
    assert "add int8: static" in refused(project, "export", "--qat")
    assert "steps of pruning" in refused(project, "export", "--rounds", 3)
    assert "nothing to teach" in refused(project, "export", "--distill", "plain")
    assert "contradict each other" in refused(project, "export", "--cluster", 8, "--qat", "--int8", "static")
    assert "at most" in refused(project, "export", "--prune", 0.999)
    assert "nosuch" in refused(project, "export", "--distill", "nosuch", "--student", 0.5)
    assert "unknown calibration recipe" in refused(project, "export", "--int8", "--calibration", "int8-balancd")
    assert not list((project / "runs/plain").glob("*-*"))


def test_a_teacher_with_other_classes_is_refused(project):
    edit(project, data__classes=["yes", "no"], data__positive=None)
    assert run("train", "-c", project / "edgefair.yaml", "--name", "other").exit_code == 0
    edit(project, data__classes=None, data__positive="yes")
    said = refused(project, "export", "--run", "plain", "--distill", "other", "--student", 0.5)
    assert "the teacher's classes are yes, no" in said
