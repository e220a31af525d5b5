"""A candidate that is its own reference keeps every gate that compares: only what nobody compressed may be one."""

import shutil

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgefair.bundle.manifest import open_bundle
from edgefair.bundle.redecision import check_decision
from edgefair.workflow.clock import today
from tests.attacks.judged import gate, linear, report, run, write_project

DROPS = ("--max-accuracy-drop", "0.0", "--max-eo-increase", "0.0")
COMPARING = ("equalized-odds increase", "accuracy drop", "worst-group accuracy drop", "worst-group excess loss")
SETTINGS = ("--set", "policy.max_group_accuracy_drop=0.0", "--set", "policy.max_excess_loss=0.0")


def test_a_reference_that_is_the_candidate_itself_is_refused(tmp_path):
    project = write_project(tmp_path)
    model = linear(tmp_path / "m.onnx")
    copy = shutil.copy(model, tmp_path / "before.onnx")
    done = run("verify", project, model, "--reference", copy, "--no-latency", "--max-accuracy-drop", "0.01")
    assert done.exit_code == 2
    assert "is the candidate itself" in done.stderr


def shows_no_change(judged):
    """Every gate that compares PASSes at exactly 0, by a report whose verdict can be taken again."""
    for name in COMPARING:
        found = gate(judged, name)
        assert (found["outcome"], found["estimate"], found["lower"], found["upper"]) == ("PASS", 0, 0, 0)
        assert "nothing was compressed" in found["reason"]
    assert judged["reference"]["sha256"] == judged["model"]["sha256"]
    check_decision(judged, today=today())


def test_an_export_that_compresses_nothing_has_no_drop_and_ships(tmp_path):
    project = write_project(tmp_path)
    model = linear(tmp_path / "m.onnx")
    code, judged = report("export", project, model, "--no-latency", *DROPS, *SETTINGS)
    assert code == 0
    shows_no_change(judged)
    assert open_bundle(project / "dist/people").uncompressed
    code, judged = report("verify", project, "--no-latency", *DROPS, *SETTINGS)
    assert code == 0
    shows_no_change(judged)


def test_an_onnx_file_without_a_reference_is_undecided_until_the_user_says_that_it_is_the_original(tmp_path):
    project = write_project(tmp_path)
    model = linear(tmp_path / "m.onnx")
    record = tmp_path / "raw.npz"
    code, judged = report("verify", project, model, "--no-latency", *DROPS, *SETTINGS)
    assert code == 3
    assert "--reference`, or --uncompressed" in gate(judged, "accuracy drop")["reason"]
    code, judged = report(
        "verify", project, model, "--uncompressed", "--no-latency", *DROPS, *SETTINGS, "--record", record
    )
    assert code == 0
    shows_no_change(judged)
    assert any("--uncompressed" in note for note in judged["notes"])
    code, again = report("verify", project, "--from-record", record, *DROPS, *SETTINGS)
    assert code == 0
    shows_no_change(again)
    assert any("--uncompressed" in note for note in again["notes"])


def test_a_quantized_file_is_no_original_whoever_says_so(tmp_path):
    project = write_project(tmp_path)
    linear(tmp_path / "m.onnx")
    quantize_dynamic(tmp_path / "m.onnx", tmp_path / "q.onnx", weight_type=QuantType.QInt8)
    assert {node.op_type for node in onnx.load(tmp_path / "q.onnx").graph.node} >= {"MatMulInteger"}
    code, judged = report("export", project, tmp_path / "q.onnx", "--no-latency", *DROPS)
    assert code == 3
    assert gate(judged, "accuracy drop")["outcome"] == "INCONCLUSIVE"
    done = run("verify", project, tmp_path / "q.onnx", "--uncompressed", "--no-latency", *DROPS)
    assert done.exit_code == 2
    assert "contains the operator" in done.stderr


def test_a_compressed_bundle_is_no_original_whoever_says_so(tmp_path):
    project = write_project(tmp_path)
    assert run("export", project, linear(tmp_path / "m.onnx"), "--int8", "--no-latency").exit_code == 0
    done = run("verify", project, "--uncompressed", "--no-latency")
    assert done.exit_code == 2
    assert "was compressed" in done.stderr


def test_a_model_cannot_be_uncompressed_and_have_another_reference(tmp_path):
    project = write_project(tmp_path)
    model, other = linear(tmp_path / "m.onnx"), linear(tmp_path / "n.onnx", (2.5, 0.0, 0.0))
    done = run("verify", project, model, "--reference", other, "--uncompressed", "--no-latency")
    assert done.exit_code == 2
    assert "both given" in done.stderr


def test_a_record_whose_own_reference_decides_otherwise_is_no_record(tmp_path):
    project = write_project(tmp_path)
    record = tmp_path / "raw.npz"
    model = linear(tmp_path / "m.onnx")
    assert run("verify", project, model, "--uncompressed", "--no-latency", "--record", record).exit_code == 0
    arrays = dict(np.load(record))
    arrays["0/reference"] = 1 - arrays["0/reference"]
    np.savez(record, **arrays)
    done = run("verify", project, "--from-record", record)
    assert done.exit_code == 2
    assert "same file" in done.stderr
