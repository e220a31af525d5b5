"""Records that are damaged, or hold what no measurement gives."""

import json

import numpy as np
import pytest

from edgefair.data.config import DataConfig
from edgefair.data.files.table import Categories
from edgefair.errors import DataError
from edgefair.measure.footprint import Footprint
from edgefair.report.results.verification import AuditRows, DataSection, ModelFile
from edgefair.targets.sections import Budgets, LatencyRules
from edgefair.workflow.measurement.records.record import Record, TargetRecord, load_record, save_record
from edgefair.workflow.measurement.records.rows import RecordedRows

ROWS = 40
DATA = DataConfig(source="people.csv", label="hired", positive="yes", sensitive=("sex",)).model_dump(mode="json")
FINGERPRINT = {"machine": "x86_64", "cpu": "a", "flags": ["avx2"], "cores": 2, "onnxruntime": "1.30", "threads": 1}


def saved(folder):
    half = np.arange(ROWS) % 2
    target = TargetRecord(
        target="local",
        device=FINGERPRINT,
        budgets=Budgets(),
        rules=LatencyRules(),
        model=ModelFile("m.onnx", "0" * 64, 10),
        reference=None,
        decision=half,
        reference_decision=None,
        times={"candidate": np.full(100, 5000)},
        not_timed="",
        notes=("n",),
        timings_s={"loading": 0.1},
        footprint=Footprint((1.0, 2.0), 300, None),
    )
    rows = RecordedRows(
        digest="d",
        audit=AuditRows("people.csv", ROWS, "f"),
        classes=("no", "yes"),
        label=half,
        sensitive={"sex": Categories(("f", "m"), (np.arange(ROWS) // 2 % 2).astype(np.int32))},
        ids=Categories.of([f"r{row}" for row in range(ROWS)]),
        subject=None,
        sketch=tuple(range(ROWS)),
    )
    record = Record("m.onnx", "2026-01-01T00:00:00", rows, DataSection(DATA, {"audit": ROWS}), (target,), {}, ())
    save_record(folder / "raw.npz", record)
    with np.load(folder / "raw.npz") as archive:
        return dict(archive)


def test_what_was_saved_is_loaded(tmp_path):
    saved(tmp_path)
    record = load_record(tmp_path / "raw.npz")
    assert record.targets[0].device == FINGERPRINT
    assert record.rows.ids.text()[3] == "r3"
    assert record.targets[0].times["candidate"].tolist() == [5000] * 100
    assert record.targets[0].footprint == Footprint((1.0, 2.0), 300, None)


def put(facts, key, value):
    *sections, last = key.split(".")
    place = facts
    for section in sections:
        place = place[int(section)] if section.isdecimal() else place[section]
    place[last] = value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("created", 5, "created: "),
        ("classes", "no", "classes: "),
        ("classes", ["no", "no"], "fewer than two different classes"),
        ("attributes", ["age"], "age"),
        ("audit.rows", "40", "audit.rows: "),
        ("audit.rows", 41, "not all of its columns have 41 rows"),
        ("targets", [], "no target"),
        ("targets.0.device", [], "device: "),
        ("targets.0.device.flags", 3, "flags: "),
        ("targets.0.device.machine", ["x"], "machine: "),
        ("targets.0.device.energy", {"mj_per_query": 1}, "energy"),
        ("targets.0.device.before_timing", {"throttle_count": "a"}, "before_timing"),
        ("targets.0.model.bytes", "10", "model.bytes"),
        ("targets.0.budgets", {"max_size_bytes": -1}, "budgets.max_size_bytes: "),
        ("targets.0.timings_s", {"loading": "x"}, "timings_s"),
        ("targets.0.times", ["other"], "other"),
        ("data.section.where", "sex", "where"),
        ("data.rows", {"audit": "x"}, "data.rows"),
        ("targets.0.device.session", {"config": "x"}, "session"),
        ("settings", 3, "settings: "),
        ("settings", {"x": float("nan")}, "NaN, which is not a number"),
    ],
)
def test_a_fact_of_another_type_is_refused(tmp_path, key, value, message):
    arrays = saved(tmp_path)
    facts = json.loads(str(arrays["facts"]))
    put(facts, key, value)
    np.savez(tmp_path / "raw.npz", **arrays | {"facts": json.dumps(facts)})
    with pytest.raises(DataError, match=message):
        load_record(tmp_path / "raw.npz")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("0/decision", lambda x: x + 2, "none of 2 classes"),
        ("0/decision", lambda x: x - 1, "none of 2 classes"),
        ("0/decision", lambda x: x.astype(float), "not whole numbers"),
        ("0/decision", lambda x: x[:-1], "not all of its columns have 40 rows"),
        ("label", lambda x: x * 5, "none of 2 classes"),
        ("codes/sensitive/sex", lambda x: x + 1, "not a text column"),
        ("codes/sensitive/sex", lambda x: x - 1, "not a text column"),
        ("values/sensitive/sex", lambda x: np.array(["f", "f"]), "not a text column"),
        ("values/sensitive/sex", lambda x: np.array([1, 2]), "not a text column"),
        ("codes/ids", lambda x: x[:3], "not all of its columns have 40 rows"),
        ("0/times/candidate", lambda x: -x, "impossible times"),
        ("0/times/candidate", lambda x: x[:0], "not equally many per model"),
        ("schema", lambda x: np.array("edgefair.record/1"), "schema"),
        ("facts", lambda x: np.array("[" * 100_000), "not a record"),
    ],
)
def test_arrays_that_no_measurement_gives_are_refused(tmp_path, name, change, message):
    arrays = saved(tmp_path)
    np.savez(tmp_path / "raw.npz", **arrays | {name: change(arrays[name])})
    with pytest.raises(DataError, match=message):
        load_record(tmp_path / "raw.npz")


def test_a_damaged_archive_is_refused_or_holds_what_it_held(tmp_path):
    saved(tmp_path)
    content = (tmp_path / "raw.npz").read_bytes()
    refused = 0
    for at in range(60, len(content), 41):
        (tmp_path / "raw.npz").write_bytes(content[:at] + b"\xff" * 8 + content[at + 8 :])
        try:
            record = load_record(tmp_path / "raw.npz")
        except DataError:
            refused += 1
        else:
            assert record.targets[0].decision.tolist() == [0, 1] * (ROWS // 2)
            assert record.targets[0].device == FINGERPRINT
    assert refused > 20
