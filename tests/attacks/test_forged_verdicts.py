"""Reports that contradict themselves, under digests that fit: nobody signs them."""

import base64
import hashlib
import json
import shutil

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edgefair.cli import main
from tests.attacks.judged import linear, run, write_project
from tests.targets.quiet import quiet

POLICY = ("--max-latency-p90", "50", "--max-size", "100000")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A folder with a key and a bundle of a compressed model that PASSes, judged by every kind of gate."""
    folder = write_project(tmp_path_factory.mktemp("forged"))
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(key)
    (folder / "key.pem").chmod(0o600)
    model = linear(folder / "m.onnx")
    gates = ("--max-eo-increase", "0.05", "--max-accuracy-drop", "0.05", *POLICY)
    with quiet():
        done = run("export", folder, model, "--int8", *gates)
    assert done.exit_code == 0, done.output
    return folder


def sign(bundle, shipped):
    arguments = ["sign", str(bundle), "--key", str(shipped / "key.pem")]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def forge(shipped, tmp_path, edit):
    """A copy of the bundle with an edited report and the digests that belong to it."""
    bundle = tmp_path / "bundle"
    shutil.copytree(shipped / "dist/people", bundle)
    report, manifest = (json.loads((bundle / name).read_text()) for name in ("report.json", "manifest.json"))
    edit(report, manifest)
    (bundle / "report.json").write_text(json.dumps(report))
    content = (bundle / "report.json").read_bytes()
    manifest["files"]["report.json"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return bundle


def gates_fail(report, _):
    for gate in report["targets"][0]["verdict"]["gates"]:
        gate["outcome"] = "FAIL"


def target_fails(report, _):
    report["targets"][0]["verdict"].update(outcome="FAIL", exit_code=1)


def fails_with_exit_code_0(report, manifest):
    report["outcome"] = manifest["outcome"] = "FAIL"
    report["exit_code"] = 0


def unfair_counts(report, _):
    report["targets"][0]["counts"]["table"] = [[[700, 0], [658, 0]], [[0, 649], [0, 669]]]


def counts_of_other_rows(report, _):
    report["audit"]["rows"] += 1


def swapped_groups(report, _):
    """As many rows, and one group is always refused."""
    table = report["targets"][0]["counts"]["table"]
    for label in (0, 1):
        table[0][label] = [sum(table[0][label]), 0]


def lax_policy(report, _):
    report["policy"]["max_eo_gap"] = 0.9


def another_alpha(report, _):
    report["policy"]["alpha"] = 0.4


def a_gate_left_out(report, _):
    del report["targets"][0]["verdict"]["gates"][0]


def limits_moved(report, _):
    report["targets"][0]["verdict"]["gates"][0]["upper"] /= 2


def slower_than_said(report, _):
    report["targets"][0]["latency"]["p90_upper_ms"] *= 100


def limits_that_narrow(report, _):
    """FAIL judges latency by limits at smaller levels, which no smaller error probability makes narrower."""
    target = report["targets"][0]
    for latency in (target["latency"], target["evidence"]["latency"]):
        latency["ladder"]["lower_ms"][3] = 2 * latency["ladder"]["lower_ms"][0]


def limits_of_another_level(report, _):
    target = report["targets"][0]
    for latency in (target["latency"], target["evidence"]["latency"]):
        latency["ladder"]["upper_ms"][0] = latency["p90_ms"]


def larger_than_said(report, _):
    report["model"]["bytes"] *= 100


def an_exception_hidden(report, _):
    report["policy"]["on_inconclusive"] = "warn"


def other_data(report, _):
    report["data"]["section"]["where"] = {"sex": ["f"]}


def compressed_and_not_said(report, manifest):
    """The gates of compression as for a model that was not compressed, which loses exactly nothing."""
    target = report["targets"][0]
    target["evidence"].update(paired=None, own_reference=True)
    report["reference"]["sha256"] = report["model"]["sha256"]
    for gate in target["verdict"]["gates"]:
        if gate["name"] in {"equalized-odds increase", "accuracy drop"}:
            gate.update(estimate=0.0, lower=0.0, upper=0.0, binding=None)


def own_reference_of_another_file(report, manifest):
    report["targets"][0]["evidence"]["own_reference"] = True


@pytest.mark.parametrize(
    "edit",
    [
        gates_fail, target_fails, fails_with_exit_code_0, unfair_counts, counts_of_other_rows, swapped_groups,
        lax_policy, another_alpha, a_gate_left_out, limits_moved, slower_than_said, limits_that_narrow,
        limits_of_another_level, larger_than_said, an_exception_hidden, other_data, compressed_and_not_said,
        own_reference_of_another_file,
    ],
)  # fmt: skip
def test_a_verdict_that_its_own_report_contradicts_is_not_signed(shipped, tmp_path, edit):
    bundle = forge(shipped, tmp_path, edit)
    done = sign(bundle, shipped)
    assert done.exit_code == 2, done.output
    assert not (bundle / "attestation.dsse.json").exists()


def test_evidence_that_is_missing_is_not_signed(shipped, tmp_path):
    def edit(report, _):
        del report["targets"][0]["evidence"]["paired"]

    done = sign(forge(shipped, tmp_path, edit), shipped)
    assert (done.exit_code, "cannot be decided again" in done.stderr) == (2, True)


def test_the_honest_report_is_signed_and_says_how_the_rows_were_chosen(shipped, tmp_path):
    bundle = forge(shipped, tmp_path, lambda report, manifest: None)
    assert sign(bundle, shipped).exit_code == 0
    envelope = json.loads((bundle / "attestation.dsse.json").read_text())
    predicate = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    report = json.loads((bundle / "report.json").read_text())
    assert predicate["data"]["section"] == report["data"]["section"]
    assert predicate["data"]["section"]["split"]["seed"] == 0
    assert sum(predicate["audit"]["groups"]["sex"].values()) == report["audit"]["rows"]
