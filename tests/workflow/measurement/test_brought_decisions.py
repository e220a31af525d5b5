"""Decisions that a device wrote into a file are judged like any others, and what cannot be of these rows is refused."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest

from edgefair.bundle.redecision import check_decision
from edgefair.config import parse_config
from edgefair.data.identity.row_ids import ROW, row_ids
from edgefair.errors import DataError, EdgefairError, MeasurementError, ModelError, PolicyError, UsageError
from edgefair.probe.bundles.consistency import ContradictionError, check_report
from edgefair.probe.onnx_files.spec import InputSpec, ModelSpec, PictureSpec, Reading
from edgefair.probe.onnx_files.spec_check import spec_from_json
from edgefair.workflow.clock import today
from edgefair.workflow.measurement.brought.inputs import export_inputs
from edgefair.workflow.measurement.brought.verify import verify_decisions
from edgefair.workflow.models.vocabulary import load_to_judge
from edgefair.workflow.verify import verify
from tests.bundle.test_canaries import MEAN, STD, picture_model
from tests.workflow.small_project import ROWS, columns_of, dense_of, project

WHOLE = {"column": "part", "train": [], "audit": ["audit"]}
GROUPS = {"attributes": {"group": {"groups": ["majority", "minority"]}}}
POLICY = {"attributes": {"sex": {"groups": ["F", "M"]}}, "max_eo_gap": 0.3}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The folder, the config, and the columns of a device that decides as the model file does."""
    folder = tmp_path_factory.mktemp("brought")
    return folder, *made(folder)


@pytest.fixture(scope="module")
def measured(small):
    folder, config, _ = small
    return verify(config, folder / "model.onnx", latency=False)


def made(folder, policy=POLICY):
    dense_of(folder)
    config, _ = project(folder, policy=policy)
    export_inputs(config, folder / "inputs.npz", folder / "model.onnx")
    return config, bare_script(folder)


def bare_script(folder):
    """What a device of ten lines makes of the exported inputs."""
    with np.load(folder / "inputs.npz", allow_pickle=False) as inputs:
        arrays = {name: inputs[name] for name in inputs.files}
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    outputs = session.run(None, {item.name: arrays[item.name] for item in session.get_inputs()})
    decision, score = outputs
    return {ROW: arrays[ROW], "decision": np.array(["no", "yes"])[decision], "score": score[:, 1].astype(np.float64)}


def written(path, columns):
    table = pyarrow.table({name: list(values) for name, values in columns.items()})
    writer = pyarrow.csv.write_csv if path.suffix == ".csv" else pyarrow.parquet.write_table
    writer(table, path)
    return path


def numbers_of(report):
    (target,) = report.targets
    return target.counts, [(gate.id, gate.outcome, gate.estimate) for gate in target.verdict.gates]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_brought_decisions_are_judged_as_measured_ones_and_said_to_be_attested_by_nobody(small, measured, suffix):
    folder, config, columns = small
    order = np.random.default_rng(0).permutation(len(columns[ROW]))
    path = written(folder / f"d{suffix}", {name: values[order] for name, values in columns.items()})
    report = verify_decisions(config, path)
    assert numbers_of(report) == numbers_of(measured)
    assert report.model.sha256 is None
    assert report.notes[0].startswith("not attested: decisions were brought")
    assert report.targets[0].information.scores["sex"][0].auc is not None
    again = type(report).from_json(json.loads(json.dumps(report.to_json())))
    assert again.decisions == report.decisions


def test_several_files_are_several_devices_and_the_report_says_whom_they_disagree_about(small):
    folder, config, columns = small
    data = load_to_judge(config)
    rows = np.flatnonzero(np.array(data.audit.sensitive["sex"].text()) == "F")[:40]
    changed = set(np.array(row_ids(data.audit).text())[rows])
    other = {"no": "yes", "yes": "no"}
    decided = [
        other[name] if row in changed else name for row, name in zip(columns[ROW], columns["decision"], strict=True)
    ]
    one = written(folder / "one.csv", columns)
    two = written(folder / "two.parquet", {ROW: columns[ROW], "decision": decided})
    report = verify_decisions(config, [one, two])
    assert [item.target for item in report.targets] == ["one", "two"]
    alone = [verify_decisions(config, path) for path in (one, two)]
    assert [item.counts for item in report.targets] == [numbers_of(part)[0] for part in alone]
    (pair,) = report.disagreements
    assert (pair.differing, pair.most.group) == (len(rows), "F")
    assert "two.parquet" in report.notes[0]
    assert [item.target for item in report.decisions.files] == ["one", "two"]
    again = type(report).from_json(json.loads(json.dumps(report.to_json())))
    assert again.decisions == report.decisions
    assert len({str(part.decisions.digests) for part in (report, *alone)}) == 3


def test_devices_of_several_files_have_names_of_their_own_and_a_profile_each_or_none(small):
    folder, config, columns = small
    (folder / "sub").mkdir()
    paths = [written(folder / "d.csv", columns), written(folder / "sub/d.csv", columns)]
    with pytest.raises(UsageError, match="two devices that are called 'd'"):
        verify_decisions(config, paths)
    with pytest.raises(UsageError, match="1 targets, and --decisions of 2 devices"):
        verify_decisions(config, paths, targets=["local"])
    with pytest.raises(UsageError, match="no file of decisions"):
        verify_decisions(config, [])
    report = verify_decisions(config, paths, targets=["local", "raspberry-pi-5"])
    assert [item.target for item in report.targets] == ["local", "raspberry-pi-5"]


def test_a_model_file_of_any_kind_is_named_with_its_digest_and_that_is_a_claim(small):
    folder, config, columns = small
    (folder / "firmware.bin").write_bytes(b"of any kind")
    report = verify_decisions(config, written(folder / "d.csv", columns), model=folder / "firmware.bin")
    assert report.model.bytes == 11
    assert any("firmware.bin" in note and "claim" in note for note in report.notes)
    with pytest.raises(ModelError, match="no model file"):
        verify_decisions(config, folder / "d.csv", model=folder / "lost.bin")


def test_no_device_loads_and_nobody_signs_a_verdict_of_brought_decisions(small):
    folder, config, columns = small
    report = verify_decisions(config, written(folder / "d.csv", columns), model=folder / "model.onnx")
    report = json.loads(json.dumps(report.to_json()))
    assert report["exit_code"] == 0
    file = report["model"]
    with pytest.raises(ContradictionError, match="were brought"):
        check_report(report, outcome=report["outcome"], sha256=file["sha256"], size=file["bytes"])
    check_decision(report, today=today())


def test_flips_are_told_against_brought_reference_decisions_and_against_a_reference_that_is_run_here(small):
    folder, config, columns = small
    config = replace_policy(config, max_accuracy_drop=0.5)
    reference = written(folder / "reference.csv", columns)
    other = {**columns, "decision": columns["decision"].copy()}
    other["decision"][:7] = "no"
    other.pop("score")
    path = written(folder / "d.csv", other)
    flipped = int((other["decision"] != columns["decision"]).sum())
    reports = [
        verify_decisions(config, path, reference_decisions=reference),
        verify_decisions(config, path, reference=folder / "model.onnx"),
    ]
    for report in reports:
        check_decision(json.loads(json.dumps(report.to_json())), today=today())
        assert sum(cell.flipped for cell in report.targets[0].flips) == flipped > 0
        assert report.targets[0].speed_up is None
    with pytest.raises(UsageError, match="one reference"):
        verify_decisions(config, path, reference=folder / "model.onnx", reference_decisions=reference)
    with pytest.raises(UsageError, match="named model itself"):
        verify_decisions(config, path, model=folder / "model.onnx", reference=folder / "model.onnx")


def replace_policy(config, **keys):
    return config.model_copy(update={"policy": config.policy.model_copy(update=keys)})


def test_milliseconds_are_judged_where_they_are_enough_and_a_gate_without_them_is_inconclusive(small):
    folder, config, columns = small
    config = replace_policy(config, max_latency_p90_ms=100.0)
    gate = lambda path, **more: verify_decisions(config, path, **more).targets[0].verdict.gate("latency_p90")  # noqa: E731
    absent = gate(written(folder / "absent.csv", columns))
    assert (absent.outcome, absent.estimate) == ("INCONCLUSIVE", None)
    assert "no column 'milliseconds'" in absent.reason
    # Slow ones come at regular distances: they tell as much as independent ones.
    times = np.resize(np.linspace(5, 6, 10), len(columns[ROW]))
    path = written(folder / "timed.csv", {**columns, "milliseconds": times})
    few = gate(path)
    assert few.outcome == "INCONCLUSIVE"
    assert "requires 1,024" in few.reason
    (folder / "board.yaml").write_text("name: board\ntransport: local\nlatency: {min_queries: 64, min_seconds: 0.1}\n")
    enough = gate(path, targets=[str(folder / "board.yaml")])
    assert enough.outcome == "PASS"
    assert 5.5 < enough.estimate < 6
    summary = verify_decisions(config, path).targets[0].latency
    assert summary.queries == len(times)
    assert summary.effective_queries <= len(times)


def test_a_policy_may_refuse_decisions_that_are_not_attested(small):
    folder, config, columns = small
    path = written(folder / "d.csv", columns)
    with pytest.raises(PolicyError, match="attested"):
        verify_decisions(replace_policy(config, decisions="attested"), path)


def without(name):
    return lambda columns: {key: values for key, values in columns.items() if key != name}


def with_cell(name, value, row=3):
    def change(columns):
        values = list(columns[name])
        values[row] = value
        return {**columns, name: values}

    return change


def upside_down(columns):
    return {**columns, "score": 1 - columns["score"]}


def with_column(name, value):
    return lambda columns: {**columns, name: [value] * len(columns[ROW])}


def timed(value):
    return lambda columns: with_cell("milliseconds", value)(with_column("milliseconds", 1.0)(columns))


BAD = {
    "no ids": (without(ROW), DataError, f"no column '{ROW}'"),
    "no decisions": (without("decision"), DataError, "no column 'decision'"),
    "a missing row": (lambda c: {name: v[1:] for name, v in c.items()}, DataError, "1 ids .* not in it"),
    "a doubled row": (lambda c: {name: [*v, v[0]] for name, v in c.items()}, DataError, "in several rows"),
    "an empty id": (with_cell(ROW, None), DataError, "have no"),
    "a foreign row": (with_cell(ROW, "r00"), DataError, "'r00'.* of no audit row"),
    "other rows altogether": (lambda c: {**c, ROW: [f"x{i}" for i in range(len(c[ROW]))]}, DataError, "of none at all"),
    "another audit set": (with_column("edgefair_audit", "ab" * 32), DataError, "audit set abab"),
    "no class": (with_cell("decision", "maybe"), DataError, "'maybe' in 'decision' is no class"),
    "an empty decision": (with_cell("decision", None), DataError, "have no 'decision'"),
    "scores of the other class": (upside_down, MeasurementError, "contradict"),
    "a score that is NaN": (with_cell("score", float("nan")), MeasurementError, "NaN"),
    "a score beyond 1": (with_cell("score", 1.5), MeasurementError, "1.5"),
    "a score that is text": (with_cell("score", "high"), EdgefairError, "."),
    "one of two score columns": (
        lambda c: {**without("score")(c), "score:yes": c["score"]}, DataError, "a column for every class",
    ),
    "scores that do not add up": (
        lambda c: {**without("score")(c), "score:yes": c["score"], "score:no": c["score"]}, MeasurementError, "add up",
    ),
    "a negative time": (timed(-1.0), MeasurementError, "holds -1"),
    "a time of zero": (timed(0.0), MeasurementError, "holds 0"),
    "an empty time": (timed(None), MeasurementError, "empty"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_of_these_rows_is_refused_and_leaves_no_line_in_the_ledger(small, name, suffix):
    folder, config, columns = small
    change, error, said = BAD[name]
    before = lines_of(folder)
    changed = {key: list(values) for key, values in change(columns).items()}
    if any(isinstance(value, str) for value in changed.get("score", ())):
        changed["score"] = list(map(str, changed["score"]))
    with pytest.raises(error, match="(?s)" + said):
        verify_decisions(config, written(folder / f"bad{suffix}", changed))
    assert lines_of(folder) == before


def lines_of(folder):
    ledger = folder / "edgefair.ledger.jsonl"
    return ledger.read_text() if ledger.exists() else ""


def test_files_that_are_no_tables_are_refused(small):
    folder, config, columns = small
    written(folder / "d.csv", columns)
    (folder / "wrong.csv").write_bytes((folder / "d.csv").read_text().replace("yes", "é").encode("cp1252"))
    (folder / "broken.parquet").write_bytes(b"PAR1 and no more")
    (folder / "huge.csv").write_bytes(b"x" * (2 << 20))
    (folder / "d.txt").write_text("x")
    (folder / "empty.csv").write_text("")
    expected = {"wrong.csv": "UTF-8", "broken.parquet": "cannot be read", "huge.csv": "bytes", "d.txt": "unsupported"}
    for name, said in {**expected, "empty.csv": "cannot be read", "lost.csv": "no file of decisions"}.items():
        with pytest.raises(DataError, match=said):
            verify_decisions(config, folder / name)


def test_decisions_are_names_or_positions_but_never_positions_of_classes_that_are_other_numbers(tmp_path):
    columns = columns_of()
    columns["hired"] = np.where(columns["hired"] == "yes", "1", "2")
    config, data = project(tmp_path, columns, data={"positive": "1"}, policy=POLICY)
    assert data.classes == ("2", "1")
    ids = row_ids(data.audit).text()
    names = [data.classes[label] for label in data.audit.label]
    report = verify_decisions(config, written(tmp_path / "d.csv", {ROW: ids, "decision": names}))
    assert report.targets[0].verdict.accuracy == 1
    with pytest.raises(DataError, match="'0' in 'decision' is no class"):
        verify_decisions(
            config, written(tmp_path / "d.csv", {ROW: ids, "decision": [str(x) for x in data.audit.label]})
        )
    config, data = project(tmp_path, policy=POLICY)
    ids = row_ids(data.audit).text()
    report = verify_decisions(config, written(tmp_path / "d.csv", {ROW: ids, "decision": list(data.audit.label)}))
    assert report.targets[0].verdict.accuracy == 1


def test_declared_ids_join_and_ids_of_people_count_them_once(tmp_path):
    columns = columns_of() | {"person": [str(row // 3) for row in range(ROWS)], "part": ["audit"] * ROWS}
    config, data = project(tmp_path, columns, data={"id": "id", "subject": "person", "split": WHOLE}, policy=POLICY)
    decided = {"id": data.audit.ids.text(), "decision": list(data.audit.label)}
    report = verify_decisions(config, written(tmp_path / "d.parquet", decided))
    assert report.targets[0].evidence["design"] is not None


def test_a_sealed_set_answers_the_same_decisions_again_and_no_others_though_the_same_model_is_claimed(tmp_path):
    config, columns = made(tmp_path, POLICY | {"audit": "sealed"})
    model = tmp_path / "model.onnx"
    one = verify_decisions(config, written(tmp_path / "d.csv", columns), model=model)
    again = verify_decisions(config, tmp_path / "d.csv", model=model)
    other = without("score")(with_cell("decision", {"no": "yes", "yes": "no"}[columns["decision"][3]])(columns))
    with pytest.raises(UsageError, match="seal of these audit rows was opened"):
        verify_decisions(config, written(tmp_path / "d.csv", other), model=model)
    assert [report.outcome for report in (one, again)] == ["PASS", "PASS"]
    assert [report.seal.verdict for report in (one, again)] == [1, 1]


def test_inputs_hold_neither_labels_nor_groups_and_their_ids_do_not_depend_on_them(tmp_path):
    dense_of(tmp_path)
    columns = columns_of()
    config, data = project(tmp_path, columns)
    found = export_inputs(config, tmp_path / "inputs.parquet", tmp_path / "model.onnx")
    table = pyarrow.parquet.read_table(tmp_path / "inputs.parquet")
    assert table.column_names == [ROW, "a", "b"]
    assert found.audit == data.audit.fingerprint
    assert (tmp_path / "inputs.parquet").stat().st_mode & 0o077 == 0
    other = columns | {"sex": columns["sex"][::-1], "hired": columns["hired"][::-1]}
    assert row_ids(project(tmp_path, other)[1].audit).text() == table.column(ROW).to_pylist()
    own = {"sensitive": ["sex", "a"], "features": ["a", "b"], "allow_sensitive_features": True, "id": "id"}
    columns |= {"a": np.round(columns["a"]).astype(int)}
    sees, _ = project(tmp_path, columns, data=own)
    with pytest.raises(DataError, match="takes 'a', which is sensitive"):
        export_inputs(sees, tmp_path / "more.npz", tmp_path / "model.onnx")
    _nameless, data = project(tmp_path, columns, data=own | {"id": None})
    with pytest.raises(DataError, match="rows have no ids"):
        row_ids(data.audit)
    with pytest.raises(UsageError, match="unsupported format"):
        export_inputs(config, Path(tmp_path / "inputs.txt"), tmp_path / "model.onnx")


def test_pictures_go_out_as_uint8_of_the_models_size_before_they_are_scaled_and_only_as_arrays(tmp_path):
    spec = ModelSpec(
        (InputSpec("x", "float32", picture=PictureSpec("picture", 8, 8, layout="nchw", mean=MEAN, std=STD)),),
        Reading("decision", "label", score="score"),
        ("square", "ring"),
    )
    picture_model(tmp_path / "model.onnx", spec)
    glyphs = {"source": "glyphs", "glyphs": {"rows": 100, "audit_rows": 80, "size": 16}}
    config = parse_config({"project": "p", "data": glyphs, "policy": GROUPS}, base=tmp_path)
    found = export_inputs(config, tmp_path / "inputs.npz", tmp_path / "model.onnx")
    with np.load(found.path, allow_pickle=False) as inputs:
        assert set(inputs.files) == {ROW, "x", "edgefair_spec", "edgefair_audit"}
        assert (inputs["x"].dtype, inputs["x"].shape) == (np.uint8, (80, 8, 8, 3))
        assert spec_from_json(str(inputs["edgefair_spec"])) == spec
    with pytest.raises(DataError, match="'x' is no table"):
        export_inputs(config, tmp_path / "inputs.csv", tmp_path / "model.onnx")
    assert not (tmp_path / "inputs.csv").exists()
