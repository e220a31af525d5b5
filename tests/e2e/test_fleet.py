"""One model on several devices: verdicts per device, where they differ, and the same verdict again from the record."""

import json
import re

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest
import yaml

from edgefair.probe.bundles.runtime import load
from edgefair.probe.device import fingerprint, saturates_int8
from edgefair.targets import load_profile, transport_of
from edgefair.workflow.measurement.records.record import load_record
from tests.e2e.commands import run
from tests.targets.onnx_models import saturating
from tests.targets.openssh import Server, lacking

pytestmark = [pytest.mark.e2e, pytest.mark.target]

# Positive rows are bright or dark, by their group; all negative rows are black.
EACH = 400
CONFIG = """\
project: tones
data:
  source: tones.parquet
  label: person
  positive: "yes"
  sensitive: [tone]
  equal_rows: people
  split: {column: part, train: [train], audit: [audit]}
model:
  output: {name: decision, kind: label}
policy:
  max_eo_gap: 0.1
  max_latency_p90_ms: 1000
  attributes:
    tone: {groups: [bright, dark]}
"""


@pytest.fixture
def tones(tmp_path):
    """A project whose model decides every row rightly, unless its INT8 sums saturate on bright rows."""
    tone = np.repeat(["bright", "dark"], 2 * EACH)
    positive = np.tile(np.repeat([True, False], EACH), 2)
    level = np.where(positive, np.where(tone == "bright", 255.0, 100.0), 0.0)
    columns = {f"x{index}": level for index in range(8)}
    columns |= {"tone": tone, "person": np.where(positive, "yes", "no")}
    parts = [{**columns, "part": np.repeat(name, len(tone))} for name in ("audit", "train")]
    parts[1] |= {f"x{index}": level + 1 for index in range(8)}  # no audit row is a training row
    table = pyarrow.concat_tables([pyarrow.table(part) for part in parts])
    pyarrow.parquet.write_table(table, tmp_path / "tones.parquet")
    (tmp_path / "edgefair.yaml").write_text(CONFIG)
    saturating(tmp_path / "full.onnx")
    saturating(tmp_path / "reduced.onnx", reduce_range=True)
    return tmp_path


def verify(project, *arguments):
    result = run("verify", "-c", project / "edgefair.yaml", *arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def ready(*names):
    for name in names:
        lacks = transport_of(load_profile(name)).lacks()
        if lacks is not None:
            pytest.skip(lacks)
    return [part for name in names for part in ("--target", name)]


def gap(report, target):
    (found,) = (item for item in report["targets"] if item["target"] == target)
    return found["verdict"]["attributes"][0]["gap"]


@pytest.mark.skipif(saturates_int8(fingerprint()), reason="this processor saturates as well")
def test_the_same_bytes_pass_here_and_fail_without_vnni_and_the_table_of_devices_says_for_whom(tones, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    targets = ready("local", "qemu:haswell", "qemu:cortex-a76")
    options = ["--no-latency", "--set", "policy.max_latency_p90_ms=null", "--report", tones / "report.json"]
    result = run("verify", "-c", tones / "edgefair.yaml", tones / "full.onnx", *targets, *options)
    report = json.loads((tones / "report.json").read_text())
    assert (gap(report, "local"), gap(report, "qemu:haswell"), gap(report, "qemu:cortex-a76")) == (0.0, 1.0, 0.0)
    assert (result.exit_code, report["outcome"]) == (1, "FAIL"), "the release's verdict is the worst device's"
    first, second, _ = report["disagreements"]
    assert (first["first"], first["second"], first["differing"]) == ("local", "qemu:haswell", EACH)
    assert {group["group"]: group["differing"] for group in first["groups"]} == {"bright": EACH, "dark": 0}
    begins = first["begins_in"]
    assert (begins["operator"], begins["weight"]) == ("MatMul", "w"), "the layer whose sums saturate"
    assert begins["difference"] > 0.2
    assert (second["second"], second["differing"], second["begins_in"]) == ("qemu:cortex-a76", 0, None)
    text = " ".join(result.stdout.split())
    assert f"local and qemu:haswell {EACH:,} of {4 * EACH:,} rows tone = bright: {EACH} of {2 * EACH} (50.00%)" in text
    assert "PASS and FAIL: THEY DISAGREE" in text
    assert "local and qemu:haswell begin to differ in MatMul 'p' (weight 'w'): from inputs that agree" in text


def test_seven_bit_weights_repair_it_and_a_latency_gate_is_inconclusive_on_an_emulated_device(tones):
    code, report = verify(tones, tones / "reduced.onnx", *ready("qemu:haswell"))
    assert gap(report, "qemu:haswell") == 0.0
    assert (code, report["outcome"]) == (3, "INCONCLUSIVE")
    (gate,) = (item for item in report["targets"][0]["verdict"]["gates"] if item["outcome"] == "INCONCLUSIVE")
    assert "is emulated" in gate["reason"]


@pytest.fixture
def board(tones):
    """Path of the profile of a device behind ssh."""
    lacks = lacking()
    if lacks is not None:
        pytest.skip(lacks)
    (tones / "board").mkdir()
    server = Server(tones / "board")
    server.start()
    profile = server.profile().model_copy(update={"name": "board"})
    path = tones / "board.yaml"
    path.write_text(yaml.safe_dump(profile.model_dump(mode="json", exclude_unset=True)))
    yield path
    server.stop()


def test_devices_are_measured_side_by_side_and_the_record_gives_the_same_verdicts_without_them(
    tones, board, quiet_device
):
    record = tones / "raw.npz"
    code, measured = verify(
        tones, tones / "reduced.onnx", "--reference", tones / "full.onnx",
        "--target", board, "--target", "local", "--record", record,
    )  # fmt: skip
    assert code == 0
    assert [item["target"] for item in measured["targets"]] == ["board", "local"]
    for name in ("tones.parquet", "full.onnx", "reduced.onnx", "board.yaml"):
        (tones / name).unlink()
    code, judged = verify(tones, "--from-record", record)
    assert code == 0
    for once, again in zip(measured["targets"], judged["targets"], strict=True):
        once["timings_s"], again["timings_s"] = {}, {}
        assert once == again
    assert "no new measurement was made" in judged["notes"][-1]
    code, judged = verify(tones, "--from-record", record, "--set", "policy.max_latency_p90_ms=0.000001")
    assert (code, judged["outcome"]) == (1, "FAIL"), "the current policy decides"


def test_a_record_that_cannot_be_judged_says_why(tones):
    record = tones / "raw.npz"
    verify(tones, tones / "reduced.onnx", "--record", record, "--no-latency")
    both = run("verify", "-c", tones / "edgefair.yaml", tones / "full.onnx", "--from-record", record)
    assert both.exit_code == 2
    assert "--from-record judges recorded measurements" in both.stderr
    config = (tones / "edgefair.yaml").read_text()
    (tones / "edgefair.yaml").write_text(
        config.replace("sensitive: [tone]", "sensitive: [size]").replace(
            "tone: {groups: [bright, dark]}", "size: {groups: [s, m]}"
        )
    )
    lacking_attribute = run("verify", "-c", tones / "edgefair.yaml", "--from-record", record)
    assert lacking_attribute.exit_code == 2
    assert "has no attribute 'size'" in lacking_attribute.stderr
    (tones / "edgefair.yaml").write_text(config)
    for content in (b"", b"not a zip", record.read_bytes()[:-200]):
        record.write_bytes(content)
        assert "is not a record" in run("verify", "-c", tones / "edgefair.yaml", "--from-record", record).stderr


def test_a_device_that_fails_is_a_failed_measurement_of_the_whole_fleet(tones, board):
    board.write_text(re.sub(r"(?m)^  port: .*", "  port: 9", board.read_text()))
    result = run(
        "verify", "-c", tones / "edgefair.yaml", tones / "reduced.onnx", "--target", board, "--target", "local"
    )
    assert result.exit_code == 4
    assert "target 'board'" in result.stderr
    assert result.stdout == ""


def test_two_targets_with_one_name_are_refused(tones):
    (tones / "other.yaml").write_text("name: local\ntransport: local\n")
    result = run(
        "verify",
        "-c",
        tones / "edgefair.yaml",
        tones / "full.onnx",
        "--target",
        "local",
        "--target",
        tones / "other.yaml",
    )
    assert result.exit_code == 2
    assert "two targets have the name 'local'" in result.stderr


def test_a_shipped_bundle_decides_on_its_device_as_it_was_judged(shipped, tmp_path):
    record = tmp_path / "raw.npz"
    assert run("verify", "-c", shipped / "edgefair.yaml", "--no-latency", "--record", record).exit_code == 0
    judged = load_record(record)
    table = pyarrow.parquet.read_table(shipped / "people.parquet")
    audit = table.filter(pyarrow.compute.equal(table["part"], "test")).to_pydict()
    model = load(shipped / "dist/small")
    found = model.predict({name: audit[name] for name in model.features}).decision
    assert found == [judged.rows.classes[index] for index in judged.targets[0].decision]
